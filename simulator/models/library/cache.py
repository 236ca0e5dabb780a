"""Where fetched and converted models are kept, and what is there."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from simulator.core.errors import BackendError
from simulator.core.files import explained
from simulator.models.library.known import KNOWN, KnownModel

VARIABLE = "UNDERTOW_MODELS"  # the environment variable that names another folder
SOURCE = "source.json"  # written last; what the model was made from
SUFFIX = ".gguf"
DIGITS = 12  # of a hash, in names of folders


class Source(NamedTuple):
    """What a converted model is made from: a known model, or a GGUF file."""

    label: str  # as it is named in a scenario
    folder: Path  # where the converted model is, or will be
    known: KnownModel | None
    file: Path | None

    @property
    def is_here(self) -> bool:
        """Whether the converted model is in the cache."""
        return (self.folder / SOURCE).is_file()


class Entry(NamedTuple):
    """A model in the cache."""

    folder: Path
    facts: dict[str, Any]

    @property
    def size(self) -> int:
        """The bytes on the disk."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())


def cache() -> Path:
    """Return the folder of all converted models."""
    chosen = os.environ.get(VARIABLE, "").strip()
    return Path(chosen).expanduser().absolute() if chosen else _usual()


def _usual() -> Path:
    return platformdirs.user_cache_path("undertow", appauthor=False) / "models"


def source_of(model: str) -> Source | None:
    """Return what a model is made from, or None for one that is used where it lies."""
    if known := KNOWN.get(model):
        return Source(model, cache() / f"{model}-{known.sha256[:DIGITS]}", known, None)
    file = Path(model)
    if file.suffix.lower() != SUFFIX or not file.is_file():
        return None
    return Source(model, cache() / _name_of(file), None, file)


def _name_of(file: Path) -> str:
    """Return a name that changes when the file does; hashing large files would take too long."""
    state = file.stat()
    told = json.dumps([str(file.resolve()), state.st_size, state.st_mtime_ns])
    return f"{file.stem}-{hashlib.sha256(told.encode()).hexdigest()[:DIGITS]}"


def entries() -> list[Entry]:
    """Return the models in the cache, by the names of their folders."""
    return [
        Entry(file.parent, json.loads(file.read_text(encoding="utf-8")))
        for file in sorted(cache().glob(f"*/{SOURCE}"))
    ]


def remove(name: str) -> list[Entry]:
    """Remove models from the cache.

    Args:
        name: of a known model, the folder of an entry, or the file that it was made from.

    Returns:
        What was removed.

    Raises:
        BackendError: it isn't there.
    """
    asked = {name, str(Path(name).absolute())}
    found = [e for e in entries() if asked & {e.folder.name, e.facts.get("model")}]
    if not found:
        there = ", ".join(str(e.facts.get("model")) for e in entries()) or "nothing"
        raise BackendError(f"'{name}' isn't in {cache()}; there: {there}")
    for entry in found:
        with locked(entry.folder), explained(entry.folder):
            (entry.folder / SOURCE).unlink()  # from now on it isn't taken for a whole model
            shutil.rmtree(entry.folder)
    return found


@contextlib.contextmanager
def locked(folder: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keep other processes from making the same model; the lock ends with the process.

    Args:
        folder: of the model.
        on_wait: is called when another process has it.
    """
    with explained(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = (folder.parent / f".{folder.name}.lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
