"""The ledger of an endpoint's answers: what was paid for, and what needn't be asked again."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class Spent(NamedTuple):
    """The tokens of an answer."""

    read: int
    written: int
    estimated: bool  # from the texts, where the endpoint doesn't report them


class Ledger(Protocol):
    """Keeps each answer as soon as it has come."""

    def recall(self, key: str) -> Mapping[str, Any] | None:
        """Return an answer that an earlier process kept for this request and didn't use up."""
        ...

    def enter(self, key: str, answer: Mapping[str, Any], spent: Spent, cost: float) -> None:
        """Keep a new answer, as plain values, with its tokens and its cost."""
        ...


class NoLedger:
    """Keeps nothing: for questions outside runs."""

    def recall(self, key: str) -> None:
        """Know nothing."""

    def enter(self, key: str, answer: Mapping[str, Any], spent: Spent, cost: float) -> None:
        """Keep nothing."""
