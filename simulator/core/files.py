"""Atomic writes, lines that are appended, and hashes of files."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from simulator.core.errors import StoreError


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a message."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{path}: can't be written: {reason}") from error


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        StoreError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: can't be read: {error.strerror}") from None


def json_object(path: Path, content: bytes) -> dict[str, Any]:
    """Return the object that a file of JSON holds.

    Raises:
        StoreError: it holds something else.
    """
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StoreError(f"{path}: damaged: it isn't a JSON object; restore it from a copy")
    return found


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically, even if the machine stops, or another process writes it, too.

    Raises:
        StoreError: it can't be written, or is something else than a regular file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with explained(path):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise StoreError(f"{path}: isn't a regular file, so it isn't overwritten")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _keep_names(path.parent)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def _keep_names(folder: Path) -> None:
    """Make sure that the names in a folder survive when the machine stops."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append a JSON object as a line, which survives the end of this process however it comes."""
    line = (json.dumps(content) + "\n").encode()
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(line)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Read the JSON objects of a file, one a line; empty where there is no file.

    A last line that was cut off is removed from the file, so that others can follow.

    Raises:
        StoreError: another line is damaged.
    """
    if not path.is_file():
        return []
    content = read_file(path)
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_atomically(path, whole)
    return [_object(path, n, line) for n, line in enumerate(whole.splitlines(), 1)]


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StoreError(
            f"{path}:{number}: damaged: the line isn't a JSON object; restore it from a copy"
        )
    return found
