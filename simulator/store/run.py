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

A round without DONE is redone on resume, except its waves and beliefs: a file that exists is
complete.
"""

import contextlib
import fcntl
import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from simulator.core.adapters import ADAPTER_WEIGHTS, Adapter
from simulator.core.errors import StoreError
from simulator.core.files import explained, file_sha256, write_atomically
from simulator.store.arrow import empty_table, to_parquet
from simulator.store.earlier_formats import present_summary, present_table

MANIFEST, SCENARIO, DONE = "manifest.json", "scenario.resolved.yaml", "DONE"
COSTS = "costs.jsonl"  # the costs of endpoints, one entry per line
LEFT_OUT = "left_out_rows"  # counts in the manifest; the rows, in a file of JSON lines
TIMING = "timing.json"  # the one file of a round that differs from run to run
Tables = dict[str, pd.DataFrame]


def _read(name: str, path: Path, number: int) -> pd.DataFrame:
    """Read a table of a round, in whichever format it was written."""
    return present_table(name, pd.read_parquet(path), number)


def _to_json(content: Any) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


class Run:
    """One run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, scenario: dict[str, Any], manifest: dict[str, Any]) -> "Run":
        """Make a run directory atomically.

        Raises:
            StoreError: it exists already, or can't be written.
        """
        if path.exists():
            raise StoreError(
                f"{path}: already exists; continue it with 'resume {path}', or choose another --out"
            )
        unfinished = path.with_name(f".{path.name}.partial")
        with explained(path):
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                unfinished.mkdir(parents=True)
                text = yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True)
                write_atomically(unfinished / SCENARIO, text.encode())
                write_atomically(unfinished / MANIFEST, _to_json(manifest))
                unfinished.rename(path)
            except OSError:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Open a run directory.

        Raises:
            StoreError: it isn't one.
        """
        if not (path / MANIFEST).is_file() or not (path / SCENARIO).is_file():
            raise StoreError(f"{path}: not a run directory (it has no {MANIFEST})")
        return cls(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing to this run; the lock ends with the process."""
        with explained(self.path), (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"{self.path}: another process is working on this run") from None
            yield

    @property
    def manifest(self) -> dict[str, Any]:
        """The versions, seeds and determinism of the run's start."""
        return dict(json.loads((self.path / MANIFEST).read_text()))

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
        """The content of the scenario file, which never changes."""
        return dict(yaml.safe_load(self.scenario_file.read_text(encoding="utf-8")))

    def folder(self, number: int) -> Path:
        """Return the folder of a round."""
        return self.path / "rounds" / f"{number:04d}"

    @property
    def rounds_done(self) -> int:
        """The number of committed rounds, including round 0 (the measurement before any update)."""
        number = 0
        while (self.folder(number) / DONE).is_file():
            number += 1
        return number

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

    def _part(self, number: int, wave: int) -> Path:
        return self.folder(number) / "conversations" / f"part-{wave:04d}.parquet"

    def wave(self, number: int, wave: int) -> pd.DataFrame | None:
        """Return a committed wave, or None."""
        path = self._part(number, wave)
        return _read("conversations", path, number) if path.is_file() else None

    def commit_wave(self, number: int, wave: int, candidates: pd.DataFrame) -> None:
        """Write the candidates of a wave."""
        write_atomically(self._part(number, wave), to_parquet("conversations", candidates))

    def candidates(self, number: int, columns: list[str] | None = None) -> pd.DataFrame:
        """Return the candidates of all waves of a round, in order; empty for round 0.

        Args:
            number: of the round.
            columns: those to read, of all formats; None: all.
        """
        parts = sorted((self.folder(number) / "conversations").glob("part-*.parquet"))
        if columns is not None and parts:
            frames = [pd.read_parquet(part, columns=columns) for part in parts]
        else:
            frames = [_read("conversations", part, number) for part in parts]
        return pd.concat(frames or [empty_table("conversations")], ignore_index=True)

    # Rounds

    def write_checkpoint(self, number: int, write: Callable[[Path], Any]) -> Any:
        """Let `write` fill a folder, and move it into place as the round's checkpoint."""
        final, partial = self._checkpoint(number), self.folder(number) / ".checkpoint.partial"
        with explained(final):
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(final, ignore_errors=True)
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                result = write(partial)
                for path in partial.iterdir():
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
        return self.folder(number) / "checkpoint"

    def checkpoint(self, number: int) -> Path | None:
        """Return the newest checkpoint at or before a round; None before the first update."""
        for n in range(number, 0, -1):
            if self._checkpoint(n).is_dir():
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
        folder = self.folder(number)
        for name, table in tables.items():
            self.commit_table(number, name, table)
        write_atomically(folder / "round.json", _to_json(summary))
        write_atomically(folder / TIMING, _to_json(timing))
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        hashes = {
            str(path.relative_to(folder)): file_sha256(path)
            for path in files
            if path.name not in (TIMING, DONE) and not path.name.startswith(".")
        }
        write_atomically(folder / DONE, _to_json(hashes))

    def commit_table(self, number: int, name: str, table: pd.DataFrame) -> None:
        """Write a table of a round that isn't committed yet."""
        write_atomically(self.folder(number) / f"{name}.parquet", to_parquet(name, table))

    # Tables added to a finished run

    def extra_table(self, folder: Path, number: int) -> pd.DataFrame | None:
        """Return a round's later scores, or None."""
        path = folder / f"round-{number:04d}.parquet"
        return _read("scores", path, number) if path.is_file() else None

    def commit_extra_table(self, folder: Path, number: int, table: pd.DataFrame) -> None:
        """Write a round's later scores."""
        write_atomically(folder / f"round-{number:04d}.parquet", to_parquet("scores", table))

    def table(self, number: int, name: str) -> pd.DataFrame:
        """Read a table of a committed round."""
        return _read(name, self.folder(number) / f"{name}.parquet", number)

    def summary(self, number: int) -> dict[str, Any]:
        """Read the summary of a committed round."""
        return present_summary(json.loads((self.folder(number) / "round.json").read_text()))

    def timing(self, number: int) -> dict[str, Any]:
        """Read a committed round's time by activity, in seconds, and the requests of roles."""
        return dict(json.loads((self.folder(number) / TIMING).read_text()))

    @property
    def costs(self) -> list[dict[str, Any]]:
        """Read the costs of endpoints, in order; see `simulator.runtime.budget`."""
        path = self.path / COSTS
        lines = path.read_text().splitlines() if path.is_file() else []
        return [dict(json.loads(line)) for line in lines]

    def has_table(self, number: int, name: str) -> bool:
        """Return whether a committed round has this table."""
        return (self.folder(number) / f"{name}.parquet").is_file()
