"""Keyed randomness: every random choice is a pure function of its key.

Global generators are never used. So the order of events, other rows of a batch, or a resumed run
cannot change a draw.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import numpy as np

Key: TypeAlias = tuple[str | int, ...]
T = TypeVar("T")


def digest(key: Key) -> int:
    """Return a 128-bit integer that identifies `key` (parts are typed: 1 and "1" differ)."""
    return int.from_bytes(hashlib.blake2b(_text(key), digest_size=16).digest(), "little")


def _text(key: Key) -> bytes:
    return "\x1f".join(f"{type(part).__name__}:{part}" for part in key).encode()


def stream(*key: str | int) -> np.random.Generator:
    """Return the random generator that belongs to `key`: Philox, counter-based."""
    return np.random.Generator(np.random.Philox(key=digest(key)))


def seed31(*key: str | int) -> int:
    """Return a seed for libraries that want a non-negative 31-bit integer."""
    return digest(key) % 2**31


def uniforms(keys: Sequence[Key], length: int) -> np.ndarray:
    """Return one row of uniforms on [0, 1) per key, shape (len(keys), length), float64.

    The bits are SHAKE-128's output for the key, ten times as fast as a generator per key.
    A longer row begins with the shorter one.
    """
    size = 8 * length
    bits = b"".join(hashlib.shake_128(_text(key)).digest(size) for key in keys)
    integers = np.frombuffer(bits, "<u8").reshape(len(keys), length)
    return np.asarray((integers >> np.uint64(11)) * 2.0**-53)


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Draw one option, all equally likely."""
    return options[int(rng.integers(len(options)))]
