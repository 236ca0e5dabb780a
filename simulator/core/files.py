"""Atomic writes and hashes of files."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

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
    """Write a file atomically, even if the machine stops."""
    temporary = path.with_name(f".{path.name}.partial")
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
