"""The files of a round, read only if they are what was written.

    DONE             the hashes of the round's files, of what it rests on, and of this list;
                     written last
    .written.jsonl   the same, line by line, of what is complete before that

A round rests on the manifest and the scenario, or on the round before it: so DONE lists
`../../manifest.json`, or `../0002/DONE`. Runs of earlier versions don't have those entries.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulator.core.errors import StoreError
from simulator.core.files import (
    append_line,
    explained,
    file_sha256,
    json_object,
    lines_of,
    read_file,
    write_atomically,
)

DONE, WRITTEN = "DONE", ".written.jsonl"
OTHER = "its content isn't what was written"
TIMING = "timing.json"  # the one file of a round that differs from run to run


class RoundFiles:
    """The folder of a round."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._checked: dict[str, tuple[int, int, int]] = {}  # files as they were when checked

    @property
    def is_done(self) -> bool:
        """Whether the round is committed."""
        return (self.folder / DONE).is_file()

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of every complete file, by its path from the folder.

        Raises:
            StoreError: the list is damaged.
        """
        path = self.folder / DONE
        if not path.is_file():
            lines = lines_of(self.folder / WRITTEN)
            return {str(line.get("file")): str(line.get("sha256")) for line in lines}
        found = json_object(path, read_file(path))
        own = found.pop(DONE, None)  # not in runs of earlier versions
        if own not in (None, _digest(found)) or not all(map(_is_hash, found.values())):
            raise self._damaged(DONE, OTHER)
        number = int(self.folder.name)
        before = f"../{number - 1:04d}/{DONE}" if number else "../../manifest.json"
        if own and before not in found:
            raise self._damaged(DONE, "it is that of another round")
        return found

    def holds(self, name: str) -> bool:
        """Return whether a file is complete; a part of an earlier version's round is, too."""
        if not (self.folder / name).is_file():
            return False
        return self.is_done or name in self.hashes or not (self.folder / WRITTEN).is_file()

    def read(self, name: str) -> bytes:
        """Return the content of a complete file.

        Raises:
            StoreError: it is missing, or isn't what was written.
        """
        expected = self._expected(name)
        if not (self.folder / name).is_file():
            raise self._damaged(name, "it is missing")
        content = read_file(self.folder / name)
        if expected not in (None, hashlib.sha256(content).hexdigest()):
            raise self._damaged(name, OTHER)
        return content

    def _expected(self, name: str) -> str | None:
        """Return the hash of a file; None if it isn't known."""
        hashes = self.hashes
        if self.is_done and name != TIMING and name not in hashes:
            raise self._damaged(name, "the round has no such file")
        return hashes.get(name)

    def check(self, names: Sequence[str]) -> None:
        """Check files without reading them into memory, each once as long as it isn't changed.

        Raises:
            StoreError: one is missing, or isn't what was written.
        """
        hashes = self.hashes
        for name in names:
            path = self.folder / name
            if not path.is_file():
                raise self._damaged(name, "it is missing")
            told = path.stat()
            now = told.st_ino, told.st_mtime_ns, told.st_size
            if self._checked.get(name) != now:
                if hashes[name] != file_sha256(path):
                    raise self._damaged(name, OTHER)
                self._checked[name] = now

    def check_folder(self, name: str) -> None:
        """Check all files of a committed folder, such as `checkpoint`.

        Raises:
            StoreError: one is missing, unknown, or isn't what was written.
        """
        if not self.is_done:
            return
        listed = self.below(name)
        self.check(listed)
        if others := sorted(set(self._found(self.folder / name)) - set(listed)):
            raise self._damaged(others[0], "the round has no such file")

    def write(self, name: str, content: bytes) -> None:
        """Write a file, and note that it is complete."""
        write_atomically(self.folder / name, content)
        digest = hashlib.sha256(content).hexdigest()
        append_line(self.folder / WRITTEN, {"file": name, "sha256": digest})

    def below(self, name: str) -> list[str]:
        """Return the complete files of a folder, in order; those that DONE lists, if it is there.

        Raises:
            StoreError: the list is damaged.
        """
        files = self.hashes if self.is_done else filter(self.holds, self._found(self.folder / name))
        return sorted(file for file in files if file.startswith(f"{name}/"))

    def commit(self, rests_on: Sequence[str]) -> None:
        """Write DONE.

        Args:
            rests_on: files outside the folder, by their paths from it.

        Raises:
            StoreError: a file isn't what was written, or DONE can't be.
        """
        names = [name for name in self._found(self.folder) if name != DONE]
        written = self.hashes
        hashes = {name: file_sha256(self.folder / name) for name in [*rests_on, *names]}
        for name, digest in written.items():
            if hashes.get(name, digest) != digest:
                raise self._damaged(name, OTHER)
        content = {**hashes, DONE: _digest(hashes)}
        write_atomically(self.folder / DONE, (json.dumps(content, indent=1) + "\n").encode())
        with explained(self.folder):
            (self.folder / WRITTEN).unlink(missing_ok=True)

    def _damaged(self, name: str, why: str) -> StoreError:
        """Return the error of a damaged file."""
        path = os.path.normpath(self.folder / name)
        return StoreError(
            f"{path}: damaged: {why}; restore it from a copy, or remove rounds/{self.folder.name} "
            "and later ones, and 'resume' makes them again"
        )

    def _found(self, folder: Path) -> list[str]:
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return [str(p.relative_to(self.folder)) for p in files if not p.name.startswith(".")]


def _digest(hashes: Mapping[str, object]) -> str:
    """Return the hash of a list of hashes."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) == hashlib.sha256().digest_size * 2
