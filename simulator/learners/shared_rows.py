"""Rows that begin alike, read once.

The chats of a batch share the template's head, the system line, often the question: a token after
the same past has the same states in each row. So a batch is read as one sequence of its distinct
tokens, each with its past. Only attention sees whole rows: keys, values and queries are laid out
by row there, and gradients of a shared token are added up.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch


class Shared(NamedTuple):
    """The L distinct tokens of B rows of up to T tokens."""

    ids: torch.Tensor  # (1, L)
    positions: torch.Tensor  # (1, L): within their rows
    places: torch.Tensor  # (B, T): which of the L stands there; padding repeats a row's last
    first: torch.Tensor  # (L,): where each first stands, an index of B · T
    common: torch.Tensor  # (S,): those that stand in several rows
    again: torch.Tensor  # (R,): where those stand, indices of B · T
    sums: torch.Tensor  # (S, R): 1 where a common token stands


def shared(rows: Sequence[list[int]], dtype: torch.dtype) -> Shared:
    """Find the distinct tokens of rows, which are padded on the right.

    Args:
        rows: token ids.
        dtype: of `sums`.
    """
    width = max(map(len, rows))
    known = dict[tuple[int, int], int]()  # (the one before, token): which of the L
    stands = defaultdict[int, list[int]](list)
    ids, positions, places = list[int](), list[int](), list[list[int]]()
    for start, row in zip(range(0, width * len(rows), width), rows, strict=True):
        line = list[int]()
        for position, token in enumerate(row):
            after = (line[-1] if line else -1, token)
            if after not in known:
                known[after] = len(ids)
                ids.append(token)
                positions.append(position)
            line.append(known[after])
            stands[line[-1]].append(start + position)
        places.append(line + line[-1:] * (width - len(row)))
    common = [n for n, where in stands.items() if len(where) > 1]
    owners = [k for k, n in enumerate(common) for _ in stands[n]]
    sums = torch.zeros(len(common), len(owners), dtype=dtype)
    sums[owners, range(len(owners))] = 1
    return Shared(
        ids=torch.tensor([ids]),
        positions=torch.tensor([positions]),
        places=torch.tensor(places),
        first=torch.tensor([where[0] for where in stands.values()]),
        common=torch.tensor(common, dtype=torch.long),
        again=torch.tensor([where for n in common for where in stands[n]], dtype=torch.long),
        sums=sums,
    )


class _ByRow(torch.autograd.Function):
    """Lay the states of distinct tokens, (L, …), out by row, (B, T, …)."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, layout: Shared) -> torch.Tensor:
        ctx.layout = layout
        return states[layout.places]

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        layout, by_place = ctx.layout, grad.flatten(0, 1)
        found = by_place[layout.first]
        if len(layout.common):  # a product sums in fp32 and rounds once
            terms = by_place[layout.again]
            found[layout.common] = (layout.sums @ terms.flatten(1)).view(-1, *grad.shape[2:])
        return found, None


class _Once(torch.autograd.Function):
    """Take the states of distinct tokens, (L, …), from those by row, (B, T, …)."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, layout: Shared) -> torch.Tensor:
        ctx.layout, ctx.shape = layout, states.shape
        return states.flatten(0, 1)[layout.first]

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        found = grad.new_zeros(ctx.shape)
        found.flatten(0, 1)[ctx.layout.first] = grad  # each stands in one place, so none is added
        return found, None


def by_row(states: torch.Tensor, layout: Shared) -> torch.Tensor:
    """Return the states of each row's tokens, (B, T, …), from those of distinct ones, (L, …)."""
    return _ByRow.apply(states, layout)  # type: ignore[no-untyped-call,no-any-return]


def once(states: torch.Tensor, layout: Shared) -> torch.Tensor:
    """Return the states of distinct tokens, (L, …), from those of each row's, (B, T, …)."""
    return _Once.apply(states, layout)  # type: ignore[no-untyped-call,no-any-return]
