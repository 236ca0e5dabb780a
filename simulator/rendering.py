"""From prompts to token ids, the same for serving and for training."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from simulator.errors import BackendError
from simulator.types import Prompt


class PromptEncoder:
    """Renders prompts by the model's chat template and encodes them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def render(self, prompt: Prompt) -> str:
        """Returns the prompt as the model reads it."""
        if not prompt.messages:
            return prompt.text
        messages = [message._asdict() for message in prompt.messages]
        return str(
            self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )

    def encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Returns the token ids of each prompt.

        Raises:
            BackendError: the model's vocabulary lacks a word; all such words are named.
        """
        return [self._encode(self.render(p), plain=not p.messages) for p in prompts]

    def encode_reply(self, reply: str) -> list[int]:
        """Returns the token ids of an assistant's reply, without an end token."""
        ids: list[int] = self.tokenizer(reply, add_special_tokens=False)["input_ids"]
        return ids

    def _encode(self, text: str, *, plain: bool) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=plain)["input_ids"]
        if self.tokenizer.unk_token_id in ids:
            raise BackendError(self._unknown(text))
        return ids

    def _unknown(self, text: str) -> str:
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        words = [text[a:b] for i, (a, b) in spans if i == self.tokenizer.unk_token_id]
        return f"the model doesn't know these words: {', '.join(dict.fromkeys(words))}"
