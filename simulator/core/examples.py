"""Training examples."""

from dataclasses import dataclass
from typing import Literal

from simulator.core.requests import Message

# What a selection can give and a learner can require: desirable replies, undesirable replies, or a
# reply of each kind to one context.
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
    ended: bool = True  # else it was cut off where its tokens ran out

    @property
    def turn(self) -> str:
        """What it shares with other replies that it may be compared with."""
        return self.source.rpartition("/")[0]
