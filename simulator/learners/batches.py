"""Batches for learners: drawn from a key, of rows of like length, padded on the right."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from simulator.randomness import stream

IGNORED = -100  # the label of a token that isn't learned
SORTED_TOGETHER = 8  # batches whose rows are sorted by length together


class Encoded(NamedTuple):
    """An example as the model reads it."""

    ids: list[int]  # context, reply and end token
    context: int  # how many of them are context


def batches(encoded: Sequence[Encoded], size: int, key: tuple[int, int]) -> Iterator[list[Encoded]]:
    """Yields the rows of each batch, in an order drawn from `key`.

    Rows are shuffled, then sorted by length within a few batches, so that little is padding.
    """
    rng = stream("sft order", *key)
    order = rng.permutation(len(encoded))
    span = size * SORTED_TOGETHER
    found = []
    for start in range(0, len(order), span):
        rows = sorted(order[start : start + span], key=lambda i: len(encoded[i].ids))
        found += [rows[i : i + size] for i in range(0, len(rows), size)]
    for n in rng.permutation(len(found)):
        yield [encoded[i] for i in found[n]]


def padded(rows: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns ids and labels, (B, T), padded on the right; contexts aren't labelled."""
    labels = [[IGNORED] * row.context + row.ids[row.context :] for row in rows]
    return right_padded([row.ids for row in rows], 0), right_padded(labels, IGNORED)


def right_padded(rows: Sequence[list[int]], filler: int) -> torch.Tensor:
    """Returns the rows as one tensor, (B, T), long."""
    width = max(map(len, rows))
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows])
