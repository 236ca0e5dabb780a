"""From prompts to token ids, the same for serving and for training."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from simulator.errors import BackendError
from simulator.types import Prompt

REMEMBERED = 10_000  # prompts


class Encoded(NamedTuple):
    """A prompt as the model reads it, and its token ids."""

    text: str
    ids: list[int]


class PromptEncoder:
    """Renders prompts by the model's chat template and encodes them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._known: dict[Prompt, Encoded] = {}  # probes ask the same in every round

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
        if len(self._known) > REMEMBERED:
            self._known.clear()
        new = list(dict.fromkeys(prompt for prompt in prompts if prompt not in self._known))
        for plain in (False, True):  # a chat template writes the special tokens itself
            group = [prompt for prompt in new if plain != bool(prompt.messages)]
            if group:
                self._known.update(zip(group, self._encode_alike(group, plain), strict=True))
        return [self._known[prompt] for prompt in prompts]

    def _encode_alike(self, prompts: list[Prompt], plain: bool) -> list[Encoded]:
        texts = [self.render(prompt) for prompt in prompts]
        rows = self.tokenizer(texts, add_special_tokens=plain)["input_ids"]
        self._refuse_unknown(texts, rows)
        return [Encoded(text, ids) for text, ids in zip(texts, rows, strict=True)]

    def encode_replies(self, replies: Sequence[str]) -> list[list[int]]:
        """Returns the token ids of each assistant's reply, without an end token.

        Raises:
            BackendError: the model's vocabulary lacks a word; all such words are named.
        """
        ids: list[list[int]] = self.tokenizer(list(replies), add_special_tokens=False)["input_ids"]
        self._refuse_unknown(replies, ids)
        return ids

    def token_id(self, token: str) -> int:
        """Returns the id of one token of the vocabulary.

        Raises:
            BackendError: there is no such token.
        """
        found = self.tokenizer.convert_tokens_to_ids(token)
        if found is None or found == self.tokenizer.unk_token_id:
            raise BackendError(f"'{token}' isn't one token of the model's vocabulary")
        return int(found)

    def _refuse_unknown(self, texts: Sequence[str], rows: Sequence[list[int]]) -> None:
        unknown = self.tokenizer.unk_token_id
        strange = [text for text, ids in zip(texts, rows, strict=True) if unknown in ids]
        if unknown is None or not strange:
            return
        words: dict[str, None] = {}
        for text in strange:
            encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            spans = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
            words |= dict.fromkeys(text[a:b] for i, (a, b) in spans if i == unknown)
        raise BackendError(f"the model doesn't know these words: {', '.join(words)}")


@lru_cache(maxsize=4)
def encoder_of(model: str) -> PromptEncoder:
    """Returns a model's encoder; server and learner share one, and so what it has encoded."""
    return PromptEncoder(AutoTokenizer.from_pretrained(model))
