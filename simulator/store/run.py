"""The run directory: JSON, YAML, Parquet and safetensors, committed atomically, never pickled.

    manifest.json  scenario.resolved.yaml         costs.jsonl, where endpoints cost something
    left_out_rows.jsonl                           bad rows of data, where those are left out
    paid_answers.jsonl                            their answers since the last commit
    rounds/0000/beliefs.parquet                   of facts: what the base believes
    rounds/0003/conversations/part-0000.parquet   a wave: every candidate reply, rated
    rounds/0003/selection.parquet                 why each candidate was or wasn't selected
    rounds/0003/vetoes.parquet                    what monitors said of the selected ones
    rounds/0003/screening.parquet                 how far along a direction those lie
    rounds/0003/examples.parquet                  what the learner was given, in order
    rounds/0003/scores.parquet                    every probed answer
    rounds/0003/population.parquet, series.parquet   users, and the means of their types
    rounds/0003/checkpoint/                       adapter and optimiser state
    rounds/0003/round.json                        summary: metrics, dose, update, canary
    rounds/0003/DONE                              the hashes of all the above, written last

`simulator.store.schemas` has the columns of every table.

A round without DONE is redone on resume, except its waves and beliefs, which are complete as soon
as they are there. Whatever is read of a round is what was written; see `round_files`.
"""

import contextlib
import errno
import functools
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pandas as pd
import yaml
from pyarrow import ArrowException

from simulator.core.adapters import ADAPTER_WEIGHTS, Adapter
from simulator.core.errors import StoreError, TakenError
from simulator.core.files import (
    UNFINISHED,
    explained,
    file_sha256,
    json_object,
    lines_of,
    make_folder,
    read_file,
    unfinished_name,
    write_atomically,
)
from simulator.store import shapes
from simulator.store.arrow import empty_table, read_parquet, to_parquet
from simulator.store.earlier_formats import present_summary, present_table
from simulator.store.lock import hold, holder
from simulator.store.round_files import DONE, TIMING, RoundFiles
from simulator.store.shapes import checked, checked_lines

MANIFEST, SCENARIO = "manifest.json", "scenario.resolved.yaml"
SUMMARY, CHECKPOINT = "round.json", "checkpoint"  # of a round
COSTS = "costs.jsonl"  # the costs of endpoints, one entry per line
LEFT_OUT = "left_out_rows"  # counts in the manifest; the rows, in a file of JSON lines
FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
ROUND = re.compile("[0-9]{4,9}")  # the name of a round's folder
Tables = dict[str, pd.DataFrame]


def _table(
    path: Path, content: bytes, name: str, number: int, columns: list[str] | None = None
) -> pd.DataFrame:
    """Read a table of a round, in whichever format it was written.

    Args:
        path: names it in an error.
        content: of the file.
        name: of its schema.
        number: of the round.
        columns: those to read, as they were written; None: all.

    Raises:
        StoreError: it isn't a table.
    """
    try:
        found: pd.DataFrame = read_parquet(content, columns).to_pandas()
        return found if columns is not None else present_table(name, found, number)
    except (ArrowException, OSError, LookupError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise StoreError(f"{path}: can't be read as a table: {reason}") from None


def _to_json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


class Run:
    """One run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[int, RoundFiles] = {}
        self._lock: IO[str] | None = None  # held since the run was made

    @classmethod
    def create(
        cls,
        path: Path,
        scenario: dict[str, Any],
        manifest: dict[str, Any],
        *,
        locked: bool = False,
    ) -> "Run":
        """Make a run directory atomically; of several processes one gets it.

        Args:
            path: of the directory.
            scenario: with all its settings.
            manifest: what is needed to repeat the run.
            locked: whether this process holds the lock from the first moment.

        Raises:
            TakenError: it exists already.
            StoreError: it can't be written.
        """
        exists = TakenError(
            f"{path}: already exists; continue it with 'resume {path}', or choose another --out"
        )
        if path.exists():
            raise exists
        unfinished = unfinished_name(path)
        with explained(path):
            try:
                make_folder(unfinished)
                text = yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True)
                write_atomically(unfinished / SCENARIO, text.encode())
                write_atomically(unfinished / MANIFEST, _to_json(manifest))
                run = cls(path)
                run._lock = hold(unfinished) if locked else None
                unfinished.rename(path)
            except OSError as error:
                shutil.rmtree(unfinished, ignore_errors=True)
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise exists from None
                raise
        return run

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Open a run directory.

        Raises:
            StoreError: it isn't one, or what its rounds rest on is damaged.
        """
        if not (path / MANIFEST).is_file() or not (path / SCENARIO).is_file():
            raise StoreError(f"{path}: not a run directory (it has no {MANIFEST})")
        run = cls(path)
        run.check_chain()
        return run

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to this run; the lock ends with the process.

        Raises:
            TakenError: another process is working on it.
        """
        held, self._lock = self._lock, None
        with explained(self.path), held or hold(self.path):
            for left in self.folder(self.rounds_done).rglob(f".*{UNFINISHED}"):
                if left.is_file():  # by a process that was killed while it wrote
                    left.unlink()
            yield

    @property
    def holder(self) -> str | None:
        """Who works on the run: the machine and the process; None: nobody."""
        return holder(self.path)

    @property
    def manifest(self) -> dict[str, Any]:
        """The versions, seeds and determinism of the run's start.

        Raises:
            StoreError: it is damaged.
        """
        path = self.path / MANIFEST
        return checked(path, json_object(path, read_file(path)), shapes.Manifest)

    def write_left_out(self, rows: list[dict[str, str]]) -> None:
        """Write which rows of data were left out, and why, one per line."""
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        write_atomically(self.left_out_file, lines.encode())

    @property
    def left_out_file(self) -> Path:
        """The list of rows of data that were left out, if there are any."""
        return self.path / f"{LEFT_OUT}.jsonl"

    @property
    def scenario_file(self) -> Path:
        """The file of the scenario with all its settings."""
        return self.path / SCENARIO

    @functools.cached_property
    def scenario(self) -> dict[str, Any]:
        """The content of the scenario file, which never changes.

        Raises:
            StoreError: it is damaged.
        """
        path = self.scenario_file
        try:
            content = yaml.load(read_file(path), FAST_LOADER)  # noqa: S506  # a safe one, in C
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = str(error).partition("\n")[0]
            raise StoreError(f"{path}: damaged: {reason}; restore it from a copy") from None
        return checked(path, content, shapes.Scenario)

    def folder(self, number: int) -> Path:
        """Return the folder of a round."""
        return self.path / "rounds" / f"{number:04d}"

    def files(self, number: int) -> RoundFiles:
        """Return the files of a round."""
        return self._files.setdefault(number, RoundFiles(self.folder(number)))

    @property
    def rounds_done(self) -> int:
        """The number of committed rounds, including round 0 (the measurement before any update)."""
        number = 0
        while self.files(number).is_done:
            number += 1
        return number

    def check_chain(self) -> None:
        """Check what every committed round rests on: manifest and scenario, or the round before.

        Raises:
            StoreError: something of it isn't what it was.
        """
        done = self.rounds_done
        for number in range(done):
            files = self.files(number)
            files.check([name for name in files.hashes if name.startswith("..")])
        if later := [number for number in self.rounds_there if number > done]:
            raise StoreError(
                f"{self.folder(done) / DONE}: damaged: it is missing, though "
                f"rounds/{later[0]:04d} is committed; restore it from a copy, or remove "
                f"rounds/{done:04d} and later ones, and 'resume' makes them again"
            )

    @property
    def rounds_there(self) -> list[int]:
        """The numbers of all committed rounds, in order, gaps or not."""
        names = (path.parent.name for path in (self.path / "rounds").glob(f"*/{DONE}"))
        return sorted(int(name) for name in names if ROUND.fullmatch(name))

    def committed(self, number: int | None) -> int:
        """Return the number of a committed round; None names the last.

        Raises:
            StoreError: there is no such round.
        """
        last = self.rounds_done - 1
        if last < 0:
            raise StoreError(
                f"{self.path}: no round is committed yet, not even round 0, the measurement before "
                f"any update; 'resume {self.path}' goes on, unless the run is still working"
            )
        chosen = last if number is None else number
        if not 0 <= chosen <= last:
            has = f"rounds 0 to {last}" if last else "only round 0"
            raise StoreError(f"{self.path}: unknown round {chosen}; the run has {has}")
        return chosen

    # Waves

    def wave(self, number: int, wave: int) -> pd.DataFrame | None:
        """Return a committed wave, or None."""
        part, files = _part(wave), self.files(number)
        return self._read(number, part, "conversations") if files.holds(part) else None

    def commit_wave(self, number: int, wave: int, candidates: pd.DataFrame) -> None:
        """Write the candidates of a wave."""
        self.files(number).write(_part(wave), to_parquet("conversations", candidates))

    def candidates(self, number: int, columns: list[str] | None = None) -> pd.DataFrame:
        """Return the candidates of all waves of a round, in order; empty for round 0.

        Args:
            number: of the round.
            columns: those to read, of all formats; None: all.
        """
        parts = self.files(number).below("conversations")
        frames = [self._read(number, part, "conversations", columns) for part in parts]
        return pd.concat(frames or [empty_table("conversations")], ignore_index=True)

    # Rounds

    def write_checkpoint(self, number: int, write: Callable[[Path], Any]) -> Any:
        """Let `write` fill a folder, and move it into place as the round's checkpoint."""
        final, partial = self._checkpoint(number), self.folder(number) / ".checkpoint.partial"
        with explained(final):
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(final, ignore_errors=True)
            make_folder(partial.parent)
            try:
                result = write(partial)
                partial.chmod(0o700)
                for path in partial.iterdir():
                    path.chmod(0o600)
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
                partial.rename(final)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        return result

    def drop_checkpoint(self, number: int) -> None:
        """Remove the checkpoint of a round that isn't committed: its update is rolled back."""
        with explained(self._checkpoint(number)):
            shutil.rmtree(self._checkpoint(number))

    def _checkpoint(self, number: int) -> Path:
        return self.folder(number) / CHECKPOINT

    def checkpoint(self, number: int) -> Path | None:
        """Return the newest checkpoint at or before a round; None before the first update.

        Raises:
            StoreError: it is damaged.
        """
        for n in range(number, 0, -1):
            if self._checkpoint(n).is_dir() or self.files(n).below(CHECKPOINT):
                self.files(n).check_folder(CHECKPOINT)
                return self._checkpoint(n)
        return None

    def adapter(self, number: int) -> Adapter | None:
        """Return the adapter that was served after a round, named by round and content."""
        path = self.checkpoint(number)
        if path is None:
            return None
        digest = file_sha256(path / ADAPTER_WEIGHTS)
        return Adapter(f"r{path.parent.name}-{digest[:8]}", path)

    def commit_round(
        self, number: int, tables: Tables, summary: dict[str, Any], timing: dict[str, Any]
    ) -> None:
        """Write a round's other files, and then its DONE."""
        files = self.files(number)
        for name, table in tables.items():
            self.commit_table(number, name, table)
        files.write(SUMMARY, _to_json(summary))
        write_atomically(files.folder / TIMING, _to_json(timing))
        files.commit(self._rests_on(number))

    def _rests_on(self, number: int) -> list[str]:
        """Return the files outside a round that it rests on, by their paths from its folder."""
        description = [f"../../{name}" for name in (MANIFEST, SCENARIO, self.left_out_file.name)]
        names = [f"../{number - 1:04d}/{DONE}"] if number else description
        return [name for name in names if (self.folder(number) / name).is_file()]

    def commit_table(self, number: int, name: str, table: pd.DataFrame) -> None:
        """Write a table of a round that isn't committed yet."""
        self.files(number).write(f"{name}.parquet", to_parquet(name, table))

    # Tables added to a finished run

    def extra_table(self, folder: Path, number: int) -> pd.DataFrame | None:
        """Return a round's later scores, or None."""
        path = folder / f"round-{number:04d}.parquet"
        return _table(path, read_file(path), "scores", number) if path.is_file() else None

    def commit_extra_table(self, folder: Path, number: int, table: pd.DataFrame) -> None:
        """Write a round's later scores."""
        write_atomically(folder / f"round-{number:04d}.parquet", to_parquet("scores", table))

    def table(self, number: int, name: str) -> pd.DataFrame:
        """Read a table of a committed round.

        Raises:
            StoreError: it is damaged.
        """
        return self._read(number, f"{name}.parquet", name)

    def _read(
        self, number: int, file: str, name: str, columns: list[str] | None = None
    ) -> pd.DataFrame:
        files = self.files(number)
        return _table(files.folder / file, files.read(file), name, number, columns)

    def summary(self, number: int) -> dict[str, Any]:
        """Read the summary of a committed round.

        Raises:
            StoreError: it is damaged.
        """
        files = self.files(number)
        path = files.folder / SUMMARY
        found = present_summary(json_object(path, files.read(SUMMARY)))
        return checked(path, found, shapes.Summary)

    def timing(self, number: int) -> dict[str, Any]:
        """Read a committed round's time by activity, in seconds, and the requests of roles.

        Raises:
            StoreError: it is damaged.
        """
        files = self.files(number)
        path = files.folder / TIMING
        return checked(path, json_object(path, files.read(TIMING)), shapes.Timing)

    @property
    def costs(self) -> list[dict[str, Any]]:
        """Read the costs of endpoints, in order; see `simulator.runtime.budget`."""
        path = self.path / COSTS
        return checked_lines(path, lines_of(path), shapes.Cost)

    def has_table(self, number: int, name: str) -> bool:
        """Return whether a round has this table."""
        return self.files(number).holds(f"{name}.parquet")


def _part(wave: int) -> str:
    return f"conversations/part-{wave:04d}.parquet"
