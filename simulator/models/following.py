"""Encoding texts that follow others: replies, and the rest of replies that have begun.

Tokenizers of the kind of SentencePiece's put a blank before every text, and some do so after every
control token. So such a text is encoded after what stands before it, which is cut off again.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from simulator.models.control_tokens import ControlTokens, refuse_unknown
from simulator.models.rendering import ChatRenderer
from simulator.models.thoughts import around_thought

INSIDE = ("\n", "a")  # texts that end within a reply; no word begins with the first one


class Follower(NamedTuple):
    """A text that follows another."""

    text: str
    begins: bool = True  # whether a reply begins with it
    thinking: bool = False  # whether it begins within a thought


class Anchor(NamedTuple):
    """A text to encode others after."""

    text: str
    ids: list[int]


NONE = Anchor("", [])


class Following:
    """Encodes texts that follow others, for one tokenizer and chat template."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, control: ControlTokens, renderer: ChatRenderer
    ) -> None:
        self._tokenizer, self._control, self._renderer = tokenizer, control, renderer

    def encode(self, followers: Sequence[Follower]) -> list[list[int]]:
        """Return the token ids of each text alone.

        Control tokens that it spells are text, except for the marks of a thought before a reply.

        Raises:
            BackendError: the vocabulary lacks a word; all such words are named.
        """
        if not followers:  # tokenizers fail on empty lists
            return []
        blank = self._renderer.blank
        texts = [f"{blank}{f.text}" if f.begins and f.text else f.text for f in followers]
        anchors = [self._begin if f.begins else self._inside for f in followers]
        spelling = {n for n, text in enumerate(texts) if self._control.spelled_in(text)}
        plain = [
            "" if n in spelling else anchor.text + text
            for n, (anchor, text) in enumerate(zip(anchors, texts, strict=True))
        ]
        rows = self._ids(plain)
        refuse_unknown(self._tokenizer, plain, rows)
        for n, (anchor, text) in enumerate(zip(anchors, texts, strict=True)):
            if n in spelling:
                rows[n] = self._spelling(anchor, text, thinking=followers[n].thinking)
            if rows[n][: len(anchor.ids)] != anchor.ids:  # as "\n" and "\n" are one token
                anchor = Anchor(INSIDE[-1], self._ids([INSIDE[-1]])[0])
                rows[n] = self._spelling(anchor, text, thinking=followers[n].thinking)
            rows[n] = rows[n][len(anchor.ids) :]
        return rows

    def _spelling(self, anchor: Anchor, text: str, *, thinking: bool) -> list[int]:
        """Encode an anchor and a text in which control tokens are text."""
        parts = around_thought(text, thinking=thinking)
        parts[::2], literal = self._control.escaped(parts[::2])
        return self._control.encode(anchor.text + "".join(parts), literal)

    @cached_property
    def _begin(self) -> Anchor:
        """What a reply is encoded after; empty where that changes nothing."""
        found = self._anchor(self._renderer.before_reply, f"{self._renderer.blank}a")
        return self._inside if found is None else found

    @cached_property
    def _inside(self) -> Anchor:
        """What the rest of a reply is encoded after; empty where that changes nothing."""
        return self._anchor(INSIDE[0], "a") or NONE

    def _anchor(self, before: str, text: str) -> Anchor | None:
        """Return an anchor, an empty one if it isn't needed; None if it can't be cut off."""
        if not before:
            return None
        anchor, both, alone = self._ids([before, before + text, text])
        if self._tokenizer.unk_token_id in anchor or both[: len(anchor)] != anchor:
            return None
        return NONE if both[len(anchor) :] == alone else Anchor(before, anchor)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        found: list[list[int]] = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        return found
