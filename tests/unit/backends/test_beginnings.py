"""Common beginnings are found, and read once where that saves much."""

import itertools

import pytest

from simulator.backends.beginnings import shared_heads
from simulator.core.rng import stream

HEAD, SYSTEM = list(range(100, 120)), list(range(200, 215))


@pytest.mark.parametrize(
    "prompts",
    [
        [[1, 2, 3]],
        [[1], [1, 2]],
        [[1, 2, 3], [4, 5, 6]],
        [[1, 2, 3, 4, 5, 6, 7, 8], [1, 9, 10, 11, 12, 13, 14, 15, 16]],
    ],
)
def test_nothing_is_shared_where_nothing_is_gained(prompts: list[list[int]]) -> None:
    assert shared_heads(prompts) == ([], [])


def test_each_system_line_is_a_beginning() -> None:
    one = [[*HEAD, 1, n, n] for n in range(8)]
    other = [[*HEAD, *SYSTEM, n, n, n] for n in range(6)]
    heads, owners = shared_heads([*one, *other])
    assert heads == [[*HEAD, 1], [*HEAD, *SYSTEM]]
    assert owners == [0] * 8 + [1] * 6


def test_a_prompt_that_begins_another_goes_on_by_a_token() -> None:
    heads, owners = shared_heads([HEAD, [*HEAD, 1], [*HEAD, 2]])
    assert heads == [HEAD[:-1]]
    assert owners == [0, 0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_beginnings_and_rests_are_the_prompts(seed: int) -> None:
    rng = stream("beginnings", seed)
    heads = [rng.integers(0, 3, rng.integers(1, 12)).tolist() for _ in range(4)]
    drawn = [
        tuple(heads[rng.integers(4)] + rng.integers(0, 3, rng.integers(1, 6)).tolist())
        for _ in range(30)
    ]
    prompts = [list(prompt) for prompt in dict.fromkeys(drawn)]
    found, owners = shared_heads(prompts)
    for prompt, owner in zip(prompts, owners, strict=bool(found)):
        head = found[owner]
        assert head
        assert prompt[: len(head)] == head
        assert len(prompt) > len(head)
    assert all(len(a) <= len(b) for a, b in itertools.pairwise(found))
    if found:
        rests = sum(len(p) - len(found[o]) for p, o in zip(prompts, owners, strict=True))
        assert sum(map(len, found)) + rests <= 0.9 * sum(map(len, prompts))
