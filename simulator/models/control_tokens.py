"""Telling a template's control tokens from texts that spell them.

A tokenizer reads `<|im_end|>` as the end of a turn wherever it stands, in a user's message, too. So
nobody's text is left to it where it spells a control token: the text is encoded by a copy of the
tokenizer, in which control tokens have names that nobody can spell.
"""

import json
import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from simulator.core.errors import BackendError
from simulator.models.thoughts import MARKS


class Span(NamedTuple):
    """Where a text spells a control token."""

    start: int
    end: int
    token: int


class ControlTokens:
    """A tokenizer's control tokens: special ones, marks of thoughts, those of its template.

    DeepSeek's templates mark turns with added tokens that aren't special.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, written: str) -> None:
        """Take a tokenizer, and its chat template with what that writes."""
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder
        self._spelled = {
            number: token.content
            for number, token in added.items()
            if token.special
            or token.content in MARKS
            or (token.content.strip() and token.content in written)
        }
        self._first = tuple({text[0] for text in self._spelled.values()})
        # Such tokens are spelled in other ways, too: as `<S>` where letters are lowered.
        normalized = any(added[number].normalized for number in self._spelled)
        whole = tokenizer.backend_tokenizer if normalized and tokenizer.is_fast else None
        self._normalizer = whole.normalizer if whole else None
        self._nonce = secrets.token_hex(8)

    def spelled_in(self, text: str) -> list[Span]:
        """Return where a text spells control tokens."""
        seen = text
        if self._normalizer and not (text.isascii() and self._keeps_ascii):
            seen = self._normalizer.normalize_str(text)
        if not any(first in seen for first in self._first):
            return []
        if self._tokenizer.is_fast:
            return self._spans(text)
        if any(spelled in text for spelled in self._spelled.values()):
            raise BackendError(
                "a text spells a control token, which this model's tokenizer can't encode as text; "
                "use a model with a tokenizer.json"
            )
        return []

    @cached_property
    def _keeps_ascii(self) -> bool:
        """Whether ASCII isn't changed when a text is normalized."""
        assert self._normalizer
        return bool(self._normalizer.normalize_str(string.printable) == string.printable)

    def _spans(self, text: str) -> list[Span]:
        found = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        pairs = zip(found["input_ids"], found["offset_mapping"], strict=True)
        spans = (Span(start, end, number) for number, (start, end) in pairs)
        return [s for s in spans if s.token in self._spelled and not self._is_unknown(s, text)]

    def _is_unknown(self, span: Span, text: str) -> bool:
        """Return whether the tokenizer read an unknown word as `<unk>`."""
        spelled = text[span.start : span.end].strip() == self._tokenizer.unk_token
        return span.token == self._tokenizer.unk_token_id and not spelled

    def escaped(self, texts: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Replace what spells control tokens, and return what each replacement stands for."""
        literal: dict[str, str] = {}
        found = []
        for text in texts:
            for span in reversed(self.spelled_in(text)):
                mark = f"\ue000{self._nonce}-{len(literal)}\ue001"
                literal[mark] = text[span.start : span.end]
                text = text[: span.start] + mark + text[span.end :]
            found.append(text)
        return found, literal

    def encode(
        self, text: str, literal: Mapping[str, str], *, add_special_tokens: bool = False
    ) -> list[int]:
        """Encode a text whose control tokens count as such, except for what was `escaped`.

        Raises:
            BackendError: the vocabulary lacks a word; all such words are named.
        """
        for span in reversed(self._spans(text)):
            text = text[: span.start] + self._hidden(span.token) + text[span.end :]
        for mark, original in literal.items():
            text = text.replace(mark, original)
        found = self._plain.encode(text, add_special_tokens=add_special_tokens)
        ids = [self._numbers.get(number, number) for number in found.ids]
        refuse_unknown_in(self._tokenizer, [(text, ids, found.offsets)])
        return ids

    def _hidden(self, token: int) -> str:
        """Return the name of a control token that nobody can spell."""
        return f"\ue000{self._nonce}:{token}\ue001"

    @cached_property
    def _plain(self) -> Tokenizer:
        """The tokenizer, with other names of the control tokens."""
        content = json.loads(self._tokenizer.backend_tokenizer.to_str())
        names = {text: self._hidden(number) for number, text in self._spelled.items()}
        for token in content["added_tokens"]:
            token["content"] = names.get(token["content"], token["content"])
        content["model"] = _renamed(content["model"], names)
        return Tokenizer.from_str(json.dumps({**content, "padding": None, "truncation": None}))

    @cached_property
    def _numbers(self) -> dict[int, int]:
        """The tokenizer's ids of control tokens by those of its copy."""
        found = {self._plain.token_to_id(self._hidden(n)): n for n in self._spelled}
        return {here: there for here, there in found.items() if here is not None}


def refuse_unknown(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], rows: Sequence[Sequence[int]]
) -> None:
    """Refuse texts with words that a vocabulary lacks.

    Args:
        tokenizer: has the vocabulary.
        texts: what is encoded.
        rows: the token ids of each.

    Raises:
        BackendError: there are such words; all are named.
    """
    unknown = tokenizer.unk_token_id
    strange = [text for text, ids in zip(texts, rows, strict=True) if unknown in ids]
    if unknown is None or not strange:
        return
    found = tokenizer(strange, add_special_tokens=False, return_offsets_mapping=True)
    places = zip(strange, found["input_ids"], found["offset_mapping"], strict=True)
    refuse_unknown_in(tokenizer, places)


def refuse_unknown_in(
    tokenizer: PreTrainedTokenizerBase,
    rows: Iterable[tuple[str, Sequence[int], Sequence[tuple[int, int]]]],
) -> None:
    """Refuse words that a vocabulary lacks.

    Args:
        tokenizer: has the vocabulary.
        rows: texts, their token ids, and where in the text each token is.

    Raises:
        BackendError: there are such words; all are named.
    """
    unknown = tokenizer.unk_token_id
    words = dict.fromkeys(
        text[start:end]
        for text, ids, places in rows
        for number, (start, end) in zip(ids, places, strict=True)
        if number == unknown
    )
    if words:
        raise BackendError(f"words unknown to the model: {', '.join(words)}")


def _renamed(model: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Rename words of a tokenizer's vocabulary, so that no text is read as one of them."""
    words, changes = model["vocab"], {}
    if isinstance(words, dict):
        words = {names.get(word, word): number for word, number in words.items()}
    else:  # Unigram: words with their scores, in the order of their ids
        words = [[names.get(word, word), score] for word, score in words]
    if unknown := model.get("unk_token"):
        changes["unk_token"] = names.get(unknown, unknown)
    if "merges" in model:
        changes["merges"] = [m for m in model["merges"] if not {*m, "".join(m)} & names.keys()]
    return {**model, "vocab": words, **changes}
