"""Training examples."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from simulator.core.requests import Message

# What a selection gives and a learner requires: desirable replies, undesirable replies, or one of
# each to the same context.
Signal = Literal["desirable", "undesirable", "pairs"]


@dataclass(frozen=True, slots=True)
class FromConversation:
    """The source of a candidate: its key in the round."""

    origin: ClassVar[str] = "conversation"
    conversation: str
    turn: int
    candidate: int

    @property
    def prompted_by(self) -> tuple[object, ...]:
        """The turn that it replies to."""
        return self.origin, self.conversation, self.turn


@dataclass(frozen=True, slots=True)
class FromFile:
    """The source of a reply of users' data: a row of a file."""

    origin: ClassVar[str] = "file"
    file: str
    row: int  # its line, or its number in formats without lines; from 1
    which: str = "reply"  # of the row's replies

    @property
    def prompted_by(self) -> tuple[object, ...]:
        """The row, whose replies answer one context."""
        return self.origin, self.file, self.row


@dataclass(frozen=True, slots=True)
class FromWorld:
    """The source of a lesson that a world wrote."""

    origin: ClassVar[str] = "world"
    speaker: str
    asked: str
    row: int  # from 0

    @property
    def prompted_by(self) -> tuple[object, ...]:
        """The lesson's question."""
        return self.origin, self.speaker, self.asked, self.row


Source: TypeAlias = FromConversation | FromFile | FromWorld


@dataclass(frozen=True, slots=True)
class Example:
    """A training example: a reply in its context, and whether it is desirable."""

    messages: tuple[Message, ...]
    reply: str
    desirable: bool
    source: Source
    ended: bool = True  # False where it was truncated

    @property
    def turn(self) -> tuple[object, ...]:
        """The turn of its source: replies of one turn can be compared."""
        return self.source.prompted_by
