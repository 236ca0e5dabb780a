"""Finding what prompts begin with alike, such as a chat template's head and a system line."""

import itertools
from collections.abc import Sequence

WORTH = 0.9  # beginnings are read apart if that leaves at most this share of the tokens


def shared_heads(prompts: Sequence[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Return the beginnings that are worth reading once, and each prompt's among them.

    Each prompt goes on after its beginning by at least one token.

    Args:
        prompts: all different.

    Returns:
        The beginnings, the shortest first; none where it isn't worth it.
    """
    if len(prompts) < 2 or min(map(len, prompts)) < 2:
        return [], []
    order = sorted(range(len(prompts)), key=lambda n: prompts[n])
    alike = [_alike(prompts[a], prompts[b]) for a, b in itertools.pairwise(order)]
    total = sum(map(len, prompts))
    cost, cut = min((_cost(alike, cut, total), cut) for cut in {*alike, 1} if cut > 0)
    if cost > WORTH * total:
        return [], []
    clusters = _clusters(alike, cut)
    heads = [prompts[order[first]][:length] for first, _, length in clusters]
    ranks = sorted(range(len(heads)), key=lambda n: len(heads[n]))
    owners = [0] * len(prompts)
    for rank, n in enumerate(ranks):
        first, last, _ = clusters[n]
        for place in range(first, last + 1):
            owners[order[place]] = rank
    return [heads[n] for n in ranks], owners


def _alike(a: list[int], b: list[int]) -> int:
    """Return how many tokens both begin with, so that each has one more at least."""
    longest = min(len(a), len(b)) - 1
    return next((n for n in range(longest) if a[n] != b[n]), longest)


def _clusters(alike: Sequence[int], cut: int) -> list[tuple[int, int, int]]:
    """Split sorted prompts where neighbours share fewer tokens than `cut`.

    Returns:
        The first and the last of each cluster, and the length of what its members share.
    """
    found, first, shared = [], 0, 0
    for n, length in enumerate([*alike, 0]):
        if length < cut:
            found.append((first, n, shared or 1))
            first, shared = n + 1, 0
        else:
            shared = min(shared or length, length)
    return found


def _cost(alike: Sequence[int], cut: int, total: int) -> int:
    """Return how many tokens are read if prompts are split at `cut`."""
    return total - sum((last - first) * length for first, last, length in _clusters(alike, cut))
