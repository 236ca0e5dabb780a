"""Shapes of the tensors in safetensors files, from their headers: no weights are read."""

import json
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

from simulator.core.errors import BackendError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
LARGEST_HEADER = 100_000_000  # bytes, the format's own limit
BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2,
         "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}  # fmt: skip
POINTER = "only a pointer of Git LFS; run 'git lfs pull' in the model's folder"
Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = dict[str, Shape]


def model_shapes(folder: Path) -> Shapes:
    """Return the shapes of a model's tensors, by name.

    Raises:
        BackendError: a file is missing, truncated, or isn't a safetensors file.
    """
    if (folder / WEIGHTS).is_file():
        return shapes_in(folder / WEIGHTS)
    listed = read_object(folder / INDEX).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BackendError(f"{folder / INDEX}: it lists no tensors; copy the model again")
    files = sorted({str(name) for name in listed.values()})
    if missing := [name for name in files if not (folder / name).is_file()]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BackendError(
            f"{missing[0]}{more} of the {len(files)} files in {INDEX} are missing; "
            "copy the model again"
        )
    found = {file: shapes_in(folder / file) for file in files}
    if absent := [name for name, file in listed.items() if name not in found[file]]:
        raise BackendError(
            f"{folder / str(listed[absent[0]])}: the tensor {absent[0]} isn't in it, though "
            f"{INDEX} says so; copy the model again"
        )
    return {name: shape for shapes in found.values() for name, shape in shapes.items()}


def shapes_in(file: Path) -> Shapes:
    """Return the shapes of the tensors in one safetensors file.

    Raises:
        BackendError: the file is truncated, or isn't a safetensors file.
    """
    try:
        with file.open("rb") as stream:
            size = file.stat().st_size
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(LARGEST_HEADER, size - 8):
                raise BackendError(_broken(file, size))
            header = json.loads(stream.read(length))
    except OSError as error:
        raise BackendError(f"{file}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BackendError(_broken(file, size)) from None
    if not isinstance(header, dict):
        raise BackendError(_broken(file, size))
    header.pop("__metadata__", None)
    if not header:
        raise BackendError(f"{file}: there are no tensors in it; save or copy it again")
    try:
        return _checked(header, size - 8 - length)
    except (KeyError, TypeError, ValueError):
        raise BackendError(_broken(file, size)) from None


def _checked(header: dict[str, Any], size: int) -> Shapes:
    """Return the shapes of a header whose tensors lie within `size` bytes.

    Raises:
        ValueError: they don't, or have another number of bytes than their shapes say.
    """
    shapes: Shapes = {}
    for name, entry in header.items():
        shape = tuple(map(int, entry["shape"]))
        start, end = map(int, entry["data_offsets"])
        expected = prod(shape) * BYTES.get(entry["dtype"], 0)  # 0: of another type
        if not 0 <= start <= end <= size or expected not in (0, end - start):
            raise ValueError(name)
        shapes[name] = shape
    return shapes


def read_object(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        BackendError: it can't be read, or holds something else.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BackendError(f"{file}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        if _is_pointer(file):
            raise BackendError(f"{file}: {POINTER}") from None
        raise BackendError(f"{file}: isn't valid JSON: {error}; copy it again") from None
    if not isinstance(found, dict):
        raise BackendError(f"{file}: isn't a JSON object; copy it again")
    return found


def _broken(file: Path, size: int) -> str:
    if size == 0:
        return f"{file}: the file is empty; copy it again"
    if _is_pointer(file):
        return f"{file}: {POINTER}"
    return f"{file}: truncated or no safetensors file ({size:,} bytes); copy it again"


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(24).startswith(b"version https://git-lfs")
