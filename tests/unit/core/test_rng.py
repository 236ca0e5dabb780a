"""Keyed randomness: a draw depends on its key and on nothing else."""

import random
import subprocess
import sys

import numpy as np
import pytest

from simulator.core.rng import Key, digest, seed31, stream, uniforms


def test_parts_are_typed_and_separated() -> None:
    keys: list[Key] = [(1,), ("1",), (1, 2), (12,), ("1", "2"), ("12",)]
    keys += [("a", ""), ("a",), ("", "a"), (True,)]
    assert len({digest(key) for key in keys}) == len(keys)


def test_equal_keys_give_equal_draws() -> None:
    assert (stream("a", 1).random(5) == stream("a", 1).random(5)).all()
    assert (stream("a", 1).random(5) != stream("a", 2).random(5)).all()


def test_rows_depend_on_their_key_alone() -> None:
    keys = [("reply", n) for n in range(20)]
    rows = uniforms(keys, 7)
    assert (uniforms(keys[::-1], 7) == rows[::-1]).all()
    assert (uniforms(keys[3:5], 7) == rows[3:5]).all()
    assert (uniforms(keys, 30)[:, :7] == rows).all()  # a longer reply starts with the same draws
    assert uniforms([], 3).shape == (0, 3)


def test_global_generators_are_neither_read_nor_moved() -> None:
    random.seed(1)
    np.random.seed(1)
    first = stream("x", 0).random(3)
    after = (random.random(), np.random.random())
    random.seed(1)
    np.random.seed(1)
    assert (random.random(), np.random.random()) == after
    assert (stream("x", 0).random(3) == first).all()


def test_draws_are_the_same_in_another_process() -> None:
    code = "from simulator.core.rng import *; print(stream('p', 3).random(), seed31('p'))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert found == [str(stream("p", 3).random()), str(seed31("p"))]


def test_keyed_first_draws_are_uniform_and_uncorrelated() -> None:
    rows = uniforms([("u", 0, n, "reply") for n in range(20_000)], 2)
    counts = np.histogram(rows[:, 0], bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi-square, 19 degrees, p = 0.001
    assert rows.min() >= 0
    assert rows.max() < 1
    for a, b in ((rows[:-1, 0], rows[1:, 0]), (rows[:, 0], rows[:, 1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(20_000)


@pytest.mark.parametrize("n", range(50))
def test_seed31_fits_31_bits(n: int) -> None:
    assert 0 <= seed31("s", n) < 2**31
