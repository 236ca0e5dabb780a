"""Everything in a run directory that isn't what was written: each file, not only the first."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import ArrowException

from simulator.core.errors import StoreError
from simulator.core.files import file_sha256, json_object
from simulator.store.arrow import arrow_schema, read_parquet
from simulator.store.earlier_formats import FORMAT
from simulator.store.round_files import DONE, OTHER, TIMING
from simulator.store.run import ROUND, Run
from simulator.store.schemas import TABLES

NOT_KEPT = "the round has no such file"


def damages(run: Run) -> Iterator[str]:
    """Yield a sentence for every damaged, missing or unknown file of a run."""
    if not run.scenario_file.is_file():
        yield f"{run.scenario_file}: it is missing"
    try:
        is_present = run.manifest.get("format") == FORMAT  # else columns may differ
    except StoreError as error:
        is_present = False
        yield str(error)
    for path in sorted(run.path.glob("*.jsonl")):
        yield from _of_lines(path)
    for path in sorted(run.path.glob("*.sqlite")):
        yield from _of_database(path)
    folders = {path.name for path in (run.path / "rounds").glob("*") if path.is_dir()}
    last = max(run.rounds_there, default=-1)
    for name in sorted(folders | {f"{number:04d}" for number in range(last + 1)}):
        folder = run.path / "rounds" / name
        if ROUND.fullmatch(name):
            yield from _of_round(run, int(name), last, is_present=is_present)
        elif not name.startswith("."):
            yield f"{folder}: the run has no such round"
    if is_present:
        for path in sorted((run.path / "probes").rglob("*.parquet")):
            yield from _of_table(path, path.read_bytes(), "scores")


def _of_round(run: Run, number: int, last: int, *, is_present: bool) -> Iterator[str]:
    """Yield the damages of a round.

    Args:
        run: the run.
        number: of the round.
        last: the last committed round; one before it must be committed, too.
        is_present: whether tables have the present columns.
    """
    files = run.files(number)
    folder = files.folder
    if not files.is_done and number < last:
        yield f"{folder / DONE}: it is missing, though later rounds are committed"
    try:
        hashes = files.hashes
    except StoreError as error:
        yield str(error)
        return
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            yield f"{os.path.normpath(path)}: it is missing"
        elif file_sha256(path) != expected:
            yield f"{os.path.normpath(path)}: {OTHER}"
        elif path.suffix == ".parquet" and is_present:
            yield from _of_table(path, path.read_bytes(), _table_of(name))
    if files.is_done:  # else it is being worked on
        for name in sorted(present - hashes.keys() - {DONE, TIMING}):  # earlier DONEs lack the last
            if not PurePosixPath(name).name.startswith("."):
                yield f"{folder / name}: {NOT_KEPT}"


def _table_of(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return folder or file.removesuffix(".parquet")


def _of_table(path: Path, content: bytes, name: str) -> Iterator[str]:
    """Yield how a table's schema differs from the one that it should have."""
    try:
        found = read_parquet(content).schema
    except (ArrowException, OSError, LookupError, ValueError) as error:
        yield f"{path}: it isn't a table: {str(error).partition(chr(10))[0]}"
        return
    if name not in TABLES:
        yield f"{path}: there is no table '{name}'"
        return
    expected = arrow_schema(name)
    if not found.equals(expected):
        names = [n for n in {*found.names, *expected.names} if not _alike(found, expected, n)]
        yield f"{path}: its columns aren't those of '{name}': {', '.join(sorted(names))}"


def _alike(found: pa.Schema, expected: pa.Schema, name: str) -> bool:
    if name not in found.names or name not in expected.names:
        return False
    return bool(found.field(name).equals(expected.field(name)))


def _of_database(path: Path) -> Iterator[str]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            (answer,) = file.execute("PRAGMA integrity_check(1)").fetchone()
            for (text,) in file.execute("SELECT answer FROM judgements"):
                json.loads(text)
    except (sqlite3.DatabaseError, ValueError) as error:
        answer = str(error)
    if answer != "ok":
        yield f"{path}: damaged: {answer}; remove it, and judges are asked again"


def _of_lines(path: Path) -> Iterator[str]:
    """Yield which lines of a file aren't JSON objects; the last one may have been cut off."""
    *lines, _ = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            json_object(path, line)
        except StoreError:
            yield f"{path}:{number}: the line isn't a JSON object"
