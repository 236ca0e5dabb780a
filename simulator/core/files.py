"""Atomic writes, lines that are appended, and hashes of files.

What a run writes is for its owner alone, whatever the umask says: people's chats and what they
cost. Whoever shares a run opens its folder.
"""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from simulator.core.errors import StoreError

UNFINISHED = ".partial"  # how names of files end that are being written


def private(path: str, flags: int) -> int:
    """Open a file that only its owner may read, if it is made; an opener for `open`."""
    return os.open(path, flags, 0o600)


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may look into, and those above it that are missing."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)


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
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise StoreError(f"{path}: damaged: it isn't a JSON object; restore it from a copy")
    return found


def unfinished_name(path: Path) -> Path:
    """Return a hidden name beside `path` that nobody else writes to.

    It isn't the process's number, which another machine may use for the same shared folder.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}{UNFINISHED}")


def write_atomically(path: Path, content: bytes, *, shared: bool = False) -> None:
    """Write a file atomically, even if the machine stops, or another process writes it, too.

    Args:
        path: the file.
        content: all of it.
        shared: whether the umask says who may read it, as for a page to send; else its owner alone.

    Raises:
        StoreError: it can't be written, or is something else than a regular file.
    """
    temporary = unfinished_name(path)
    with explained(path):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise StoreError(f"{path}: isn't a regular file, so it isn't overwritten")
        if shared:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            make_folder(path.parent)
        try:
            with open(temporary, "wb", opener=None if shared else private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _keep_names(path.parent)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def write_result(path: Path, content: bytes, home: Path) -> None:
    """Write a page or a picture of a run, a sweep or a study, as atomically.

    It is for its owner alone within the folder that it describes. Elsewhere it is made to be sent,
    and the umask says who may read it.
    """
    shared = not path.resolve().is_relative_to(home.resolve())
    write_atomically(path, content, shared=shared)


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
        make_folder(path.parent)
        with open(path, "ab", buffering=0, opener=private) as file:
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
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise StoreError(
            f"{path}:{number}: damaged: the line isn't a JSON object; restore it from a copy"
        )
    return found
