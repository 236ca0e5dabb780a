"""Questions to models: requests, and a pure function that reads their answers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from simulator.core.requests import Answer, Request

T = TypeVar("T")
U = TypeVar("U")


class RoleRequest(NamedTuple):
    """A request, and the scenario's role whose model answers it."""

    role: str
    request: Request


@dataclass(frozen=True)
class Ask(Generic[T]):
    """Requests to models, and a pure function that reads their answers.

    Without requests the outcome is already known.
    """

    requests: tuple[RoleRequest, ...]
    read: Callable[[Sequence[Answer]], T]

    def then(self, change: Callable[[T], U]) -> "Ask[U]":
        """Return the same ask with its outcome changed."""
        return Ask(self.requests, lambda answers: change(self.read(answers)))


def known(value: T) -> Ask[T]:
    """Return an ask without requests, whose outcome is known."""
    return Ask((), lambda answers: value)


def ask(role: str, request: Request, read: Callable[[Answer], T]) -> Ask[T]:
    """Return an ask of one request."""
    return Ask((RoleRequest(role, request),), lambda answers: read(answers[0]))


def joined(asks: Iterable[Ask[T]]) -> Ask[list[T]]:
    """Return one ask for many: their outcomes, in order."""
    asks = list(asks)

    def read(answers: Sequence[Answer]) -> list[T]:
        left = iter(answers)
        return [one.read(list(islice(left, len(one.requests)))) for one in asks]

    return Ask(tuple(request for one in asks for request in one.requests), read)
