"""Batches for learners: drawn from a key, of rows of similar length, padded on the right."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

import torch

from simulator.core.rng import Key, stream

IGNORED = -100  # the label of a token that isn't learned
SORTED_TOGETHER = 8  # batches whose units are sorted by length together


class Encoded(NamedTuple):
    """An example as the model reads it."""

    ids: list[int]  # context, reply and end token
    context: int  # number of tokens of the context

    @property
    def length(self) -> int:
        """Its tokens."""
        return len(self.ids)

    @property
    def weight(self) -> int:
        """The number of its learned tokens: the reply's and its end token."""
        return len(self.ids) - self.context


class Unit(Protocol):
    """The smallest part of a batch: a row, or several."""

    @property
    def length(self) -> int:
        """The length of its longest row, in tokens."""
        ...

    @property
    def weight(self) -> int:
        """Its weight in the mean loss of an epoch."""
        ...


U = TypeVar("U", bound=Unit)


def batches(units: Sequence[U], size: int, key: Key) -> Iterator[list[U]]:
    """Yield the units of each batch, in an order drawn from `key`.

    They are shuffled, then sorted by length within a few batches, which keeps padding low.
    """
    rng = stream(*key)
    order = rng.permutation(len(units))
    span = size * SORTED_TOGETHER
    found = []
    for start in range(0, len(order), span):
        near = sorted(order[start : start + span], key=lambda i: units[i].length)
        found += [near[i : i + size] for i in range(0, len(near), size)]
    for n in rng.permutation(len(found)):
        yield [units[i] for i in found[n]]


def parts(batch: Sequence[U], size: int | None) -> Iterator[Sequence[U]]:
    """Yield a batch in parts of `size`; None: all at once."""
    size = size or len(batch)
    for start in range(0, len(batch), size):
        yield batch[start : start + size]


def padded(rows: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and labels, (B, T), padded on the right; contexts have no labels."""
    labels = [[IGNORED] * row.context + row.ids[row.context :] for row in rows]
    return right_padded([row.ids for row in rows], 0), right_padded(labels, IGNORED)


def right_padded(rows: Sequence[list[int]], filler: int) -> torch.Tensor:
    """Return the rows as one tensor, (B, T), long."""
    width = max(map(len, rows))
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows])
