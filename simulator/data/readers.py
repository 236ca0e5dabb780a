"""Readers of data files: CSV, TSV, JSON, JSON lines and Parquet, row by row.

A row that can't be read doesn't end the reading: what is wrong with it takes its place.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulator.core.csv_rows import Record, read_csv
from simulator.core.errors import ScenarioError
from simulator.core.texts import flaw, flaw_within, read_flawless, read_text

NAMES = "parquet, csv, tsv, json or jsonl"
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
POINTER = b"version https://git-lfs"
MOST_ROWS = 5_000_000  # of a Parquet file
WRAPPER = "data"  # the key under which some files have their list of rows
_ESCAPED_FLAW = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def read_records(file: Path) -> Iterator[tuple[int, Record]]:
    """Yield the rows of a file with their lines; with their numbers in formats without lines.

    Raises:
        ScenarioError: the file as a whole can't be read.
    """
    reader = _READERS.get(file.suffix.lower())
    if is_packed(file):
        raise ScenarioError(f"{file}: is packed; unpack it, or move it elsewhere")
    if reader is None:
        raise ScenarioError(f"{file}: invalid type of file; data must be {NAMES} files")
    if _is_pointer(file):
        raise ScenarioError(f"{file}: only a pointer of Git LFS; run 'git lfs pull' in its folder")
    yield from reader(file)


def is_data(file: Path) -> bool:
    """Return whether a file's name is that of a data file, or of a packed one."""
    return file.suffix.lower() in _READERS or is_packed(file)


def is_packed(file: Path) -> bool:
    """Return whether a file's name is that of a packed data file, which can't be read."""
    return file.suffix.lower() in PACKED and Path(file.stem).suffix.lower() in _READERS


def _is_pointer(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(POINTER)) == POINTER
    except OSError:
        return False  # its reader says why it can't be read


def _read_jsonl(file: Path) -> Iterator[tuple[int, Record]]:
    """Yield one object a line; some files hold one list of objects instead."""
    text = read_text(file)
    rows = _parsed(text)[0] if text.lstrip().startswith("[") else None
    if isinstance(rows, list):
        yield from _of_list(rows, text)
    else:
        yield from _of_lines(text)


def _read_json(file: Path) -> Iterator[tuple[int, Record]]:
    """Yield the objects of a list, also of one under the key `data`; or one object a line."""
    text = read_text(file)
    found, mistake = _parsed(text)
    if isinstance(found, dict) and isinstance(found.get(WRAPPER), list):
        found = found[WRAPPER]
    first = text.lstrip().partition("\n")[0]
    if isinstance(found, list):
        yield from _of_list(found, text)
    elif isinstance(_parsed(first)[0], dict) and first.strip() != "{}":
        yield from _of_lines(text)
    elif isinstance(found, dict) and found:
        yield from _of_list([found], text)
    elif mistake:
        read_flawless(file)  # names the line of a byte that isn't UTF-8
        raise ScenarioError(f"{file}{mistake}")
    else:
        raise ScenarioError(f"{file}: invalid data; it must be a list of objects, [{{…}}, …]")


def _of_list(rows: list[Any], text: str) -> Iterator[tuple[int, Record]]:
    """Yield the rows of a list of objects, with their numbers."""
    escaped = not flaw(text)
    suspect = not escaped or _ESCAPED_FLAW.search(text)
    for number, row in enumerate(rows, 1):
        yield number, (flaw_within(row, escaped=escaped) if suspect else "") or _object(row)


def _of_lines(text: str) -> Iterator[tuple[int, Record]]:
    """Yield the object of each line that isn't blank."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, flaw(line) or _of_line(line)


def _of_line(line: str) -> Record:
    found, mistake = _parsed(line)
    if mistake:
        return mistake.partition(": ")[2]
    suspect = _ESCAPED_FLAW.search(line)
    return (flaw_within(found, escaped=True) if suspect else "") or _object(found)


def _read_parquet(file: Path) -> Iterator[tuple[int, Record]]:
    import pyarrow.parquet  # slow to import, and few scenarios need it

    try:
        rows_told = pyarrow.parquet.read_metadata(file).num_rows
        if rows_told > MOST_ROWS:  # a file of a kilobyte can tell of billions
            raise ScenarioError(f"{file}: has {rows_told:,} rows; at most {MOST_ROWS:,}")
        table = pyarrow.parquet.read_table(file)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise ScenarioError(f"{file}: can't be read as Parquet ({reason})") from None
    try:
        rows = table.to_pylist()
    except UnicodeDecodeError:  # it names no row
        rows = [_of_slice(table, number) for number in range(table.num_rows)]
    for number, row in enumerate(rows, 1):
        yield number, row if isinstance(row, str) else plain(row)


def _of_slice(table: Any, number: int) -> Record:
    try:
        return dict(table.slice(number, 1).to_pylist()[0])
    except UnicodeDecodeError as error:
        return f"has the byte 0x{error.object[error.start]:02x}, which isn't UTF-8"


def plain(row: Mapping[str, Any]) -> Record:
    """Return a row of Arrow with bytes that are text as text, or what is wrong with it.

    Some writers store texts as binary columns.
    """
    read = {column: _as_text(value) for column, value in row.items()}
    return flaw_within(read, escaped=True) or read


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value  # such as an image; refused where it is used as text
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    if isinstance(value, dict):
        return {key: _as_text(part) for key, part in value.items()}
    return value


_READERS = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}


def _parsed(text: str) -> tuple[Any, str]:
    """Return what JSON says, and what is wrong with it: `:line: why`, or else empty."""
    try:
        return json.loads(text, object_pairs_hook=_with_single_keys), ""
    except json.JSONDecodeError as error:
        return None, f":{error.lineno}: invalid JSON: {error}"
    except (ValueError, RecursionError) as error:  # a key twice, 5,000 digits, 10,000 brackets
        return None, f": invalid JSON: {error}"


def _with_single_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return found


def _object(row: Any) -> Record:
    return row if isinstance(row, dict) else "invalid row; it must be an object of columns, {…}"
