"""From prompts to token ids, the same for serving and for training."""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from simulator.errors import BackendError
from simulator.types import Prompt


class Encoded(NamedTuple):
    """A prompt as the model reads it, and its token ids."""

    text: str
    ids: list[int]


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

    def encode(self, prompts: Sequence[Prompt]) -> list[Encoded]:
        """Renders and encodes prompts.

        Raises:
            BackendError: the model's vocabulary lacks a word; all such words are named.
        """
        texts = [self.render(prompt) for prompt in prompts]
        encoded: dict[int, Encoded] = {}
        for plain in (False, True):  # a chat template writes the special tokens itself
            rows = [i for i, prompt in enumerate(prompts) if plain != bool(prompt.messages)]
            if rows:
                ids = self.tokenizer([texts[i] for i in rows], add_special_tokens=plain)
                for i, row in zip(rows, ids["input_ids"], strict=True):
                    encoded[i] = Encoded(texts[i], row)
        unknown = self.tokenizer.unk_token_id
        for text, ids in encoded.values():
            if unknown is not None and unknown in ids:
                raise BackendError(self._unknown(text))
        return [encoded[i] for i in range(len(prompts))]

    def encode_reply(self, reply: str) -> list[int]:
        """Returns the token ids of an assistant's reply, without an end token."""
        ids: list[int] = self.tokenizer(reply, add_special_tokens=False)["input_ids"]
        return ids

    def _unknown(self, text: str) -> str:
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        words = [text[a:b] for i, (a, b) in spans if i == self.tokenizer.unk_token_id]
        return f"the model doesn't know these words: {', '.join(dict.fromkeys(words))}"
