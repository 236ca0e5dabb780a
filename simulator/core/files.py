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


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically, even if the machine stops, or another process writes it, too."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


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
    """
    if not path.is_file():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_atomically(path, whole)
    return [json.loads(line) for line in whole.splitlines()]
