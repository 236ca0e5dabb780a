"""The header of a GGUF file: what it holds, and whether it can be converted.

Read by hand, as it is short and most of a vocabulary can be skipped: so a scenario is checked
without model libraries.
"""

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

from simulator.core.errors import BackendError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32  # bytes, unless the file says otherwise
LONGEST = 100_000_000  # bytes of one text, or entries of one list
MOST = 1_000_000  # keys, or tensors
STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
           10: "<Q", 11: "<q", 12: "<d"}  # fmt: skip


class Storage(NamedTuple):
    """A way of storing numbers: so many of them in a block of so many bytes."""

    name: str
    numbers: int
    bytes: int


# What the `gguf` package turns into numbers again.
STORAGES = {
    0: Storage("F32", 1, 4), 1: Storage("F16", 1, 2), 30: Storage("BF16", 1, 2),
    2: Storage("Q4_0", 32, 18), 3: Storage("Q4_1", 32, 20), 6: Storage("Q5_0", 32, 22),
    7: Storage("Q5_1", 32, 24), 8: Storage("Q8_0", 32, 34), 10: Storage("Q2_K", 256, 84),
    11: Storage("Q3_K", 256, 110), 12: Storage("Q4_K", 256, 144), 13: Storage("Q5_K", 256, 176),
    14: Storage("Q6_K", 256, 210), 16: Storage("IQ2_XXS", 256, 66), 17: Storage("IQ2_XS", 256, 74),
    18: Storage("IQ3_XXS", 256, 98), 19: Storage("IQ1_S", 256, 50), 20: Storage("IQ4_NL", 32, 18),
    21: Storage("IQ3_S", 256, 110), 22: Storage("IQ2_S", 256, 82), 23: Storage("IQ4_XS", 256, 136),
    29: Storage("IQ1_M", 256, 56), 34: Storage("TQ1_0", 256, 54), 35: Storage("TQ2_0", 256, 66),
    39: Storage("MXFP4", 32, 17),
}  # fmt: skip

Value = str | int | float | bool


class GGUFTensor(NamedTuple):
    """Where a tensor lies in the file."""

    name: str
    shape: tuple[int, ...]
    storage: int
    offset: int  # from the beginning of the tensors


class GGUFHeader(NamedTuple):
    """What a GGUF file says of itself; of lists only the lengths."""

    values: Mapping[str, Value]
    lengths: Mapping[str, int]
    tensors: tuple[GGUFTensor, ...]
    start: int  # where the tensors begin, in bytes

    @property
    def architecture(self) -> str:
        """The name of the architecture, as llama.cpp has it."""
        return str(self.values.get("general.architecture", ""))

    def of_architecture(self, key: str) -> Value | None:
        """Return a setting of the architecture."""
        return self.values.get(f"{self.architecture}.{key}")


def read_header(file: Path) -> GGUFHeader:
    """Read a file's header.

    Raises:
        BackendError: it isn't a GGUF file, or it is cut.
    """
    try:
        with file.open("rb") as stream:
            header = _Reader(stream).header()
        size = file.stat().st_size
    except OSError as error:
        raise BackendError(f"it can't be read: {error.strerror}") from None
    except (struct.error, UnicodeDecodeError, KeyError, OverflowError):
        raise BackendError("its header is cut or damaged; copy the file again") from None
    needed = header.start + max((t.offset + _bytes(t) for t in header.tensors), default=0)
    if needed > size:
        raise BackendError(
            f"it is cut: {size:,} bytes, but its tensors need {needed:,}; copy the file again"
        )
    return header


def _bytes(tensor: GGUFTensor) -> int:
    """Return the size of a tensor; 0 where the way of storing it isn't known."""
    storage = STORAGES.get(tensor.storage)
    return prod(tensor.shape) // storage.numbers * storage.bytes if storage else 0


class _Reader:
    """Reads a header from the beginning to its end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def header(self) -> GGUFHeader:
        """Return the header."""
        if self._stream.read(4) != MAGIC:
            raise BackendError("it isn't a GGUF file, whatever its name says")
        version = self._number("<I")
        if version not in VERSIONS:
            raise BackendError(f"its version of GGUF is {version}; 2 and 3 can be read")
        count, keys = self._count(), self._count()
        values, lengths = dict[str, Value](), dict[str, int]()
        for _ in range(keys):
            key, kind = self._text(), self._number("<I")
            if kind == ARRAY:
                lengths[key] = self._skip_array()
            else:
                values[key] = self._value(kind)
        tensors = tuple(self._tensor() for _ in range(count))
        align = int(values.get("general.alignment", ALIGNMENT)) or ALIGNMENT
        start = -(-self._stream.tell() // align) * align
        return GGUFHeader(values, lengths, tensors, start)

    def _number(self, code: str) -> int:
        (found,) = struct.unpack(code, self._stream.read(struct.calcsize(code)))
        return int(found)

    def _count(self, most: int = MOST) -> int:
        found = self._number("<Q")
        if found > most:
            raise OverflowError
        return found

    def _text(self) -> str:
        length = self._count(LONGEST)
        found = self._stream.read(length)
        if len(found) < length:
            raise OverflowError
        return found.decode("utf-8")

    def _value(self, kind: int) -> Value:
        if kind == STRING:
            return self._text()
        code = SCALARS[kind]
        found: Value = struct.unpack(code, self._stream.read(struct.calcsize(code)))[0]
        return found

    def _skip_array(self) -> int:
        """Skip a list, and return its length."""
        kind, length = self._number("<I"), self._count(LONGEST)
        if kind in SCALARS:
            self._stream.seek(struct.calcsize(SCALARS[kind]) * length, 1)
            return length
        for _ in range(length):
            if kind == ARRAY:
                self._skip_array()
            elif kind == STRING:
                self._stream.seek(self._count(LONGEST), 1)
            else:
                raise KeyError(kind)
        return length

    def _tensor(self) -> GGUFTensor:
        name, dimensions = self._text(), self._number("<I")
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        return GGUFTensor(name, shape, self._number("<I"), self._number("<Q"))
