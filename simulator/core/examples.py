"""Training examples."""

from dataclasses import dataclass
from typing import Literal

from simulator.core.requests import Message

# What a selection gives and a learner requires: desirable replies, undesirable replies, or one of
# each to the same context.
Signal = Literal["desirable", "undesirable", "pairs"]


@dataclass(frozen=True, slots=True)
class Example:
    """A training example: a reply in its context, and whether it is desirable."""

    messages: tuple[Message, ...]
    reply: str
    desirable: bool
    source: (
        str  # its turn, and which reply of it: `conversation/turn/candidate`, `file:line/chosen`
    )
    ended: bool = True  # False where it was truncated

    @property
    def turn(self) -> str:
        """The turn of its source: replies of one turn can be compared."""
        return self.source.rpartition("/")[0]
