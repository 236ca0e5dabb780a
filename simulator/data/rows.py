"""Rows of users' data: local files, or datasets of the Hugging Face hub.

Only text and numbers are read: never pickles, never code from a dataset.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from simulator.core.errors import ScenarioError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")  # and, after @, its revision
_NAMES = "parquet, csv, json or jsonl"


class Row(NamedTuple):
    """A row and its location."""

    origin: str  # `file:line`; `file:row`, counted from 1, in formats without lines
    part: tuple[str, str]  # folder, and file name without extension; for the hub: config and split
    values: Mapping[str, Any]

    def text(self, column: str) -> str:
        """Return the text of a column.

        Raises:
            ScenarioError: the column is missing, empty, or not text.
        """
        found = self.optional(column)
        if not found.strip():
            raise self.mistake(column, "is empty")
        return found

    def optional(self, column: str) -> str:
        """Return the text of a column that may be empty.

        Raises:
            ScenarioError: the column is missing, or not text.
        """
        if column not in self.values:
            columns = ", ".join(map(str, self.values))
            raise self.mistake(column, f"this column is missing; there are {columns}")
        found = self.values[column]
        if found is None:
            return ""
        if not isinstance(found, str):
            raise self.mistake(column, f"must be text, not {type(found).__name__}")
        return found

    def name(self, column: str) -> str:
        """Return the row's name from a column: text, or a number.

        Raises:
            ScenarioError: the column is missing, or empty.
        """
        found = self.values.get(column)
        if isinstance(found, int):
            return str(found)
        return self.text(column)

    def mistake(self, column: str, what: str) -> ScenarioError:
        """Return an error that names row and column."""
        return ScenarioError(f"{self.origin}: {column}: {what}")


def read_rows(source: str) -> list[Row]:
    """Read a file, a folder's files in the order of their names, or a dataset of the hub.

    Args:
        source: a path, or else a hub id, `owner/name` or `owner/name@revision`, of which all
            configs and splits are read.

    Raises:
        ScenarioError: it doesn't exist, or can't be read; names file and line.
    """
    path = Path(source)
    if path.exists():
        found = [row for file in files_of(path) for row in _read(file)]
    elif _HUB_ID.fullmatch(source):
        found = list(_of_hub(source))
    else:
        raise ScenarioError(f"file or folder '{source}' not found")
    if not found:
        raise ScenarioError(f"{source}: has no rows; data must be {_NAMES} files")
    return found


def files_of(place: Path) -> list[Path]:
    """Return a file, or the data files in a folder and its subfolders, except hidden ones."""
    if not place.is_dir():
        return [place] if place.exists() else []
    return [
        file
        for file in sorted(place.rglob("*"))
        if file.suffix.lower() in _READERS
        and not any(part.startswith(".") for part in file.relative_to(place).parts)
    ]


def _read(file: Path) -> Iterator[Row]:
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise ScenarioError(f"{file}: invalid type of file; data must be {_NAMES} files")
    part = (file.resolve().parent.name, file.stem)
    for number, values in reader(file):
        yield Row(f"{file}:{number}", part, values)


def read_text(file: Path) -> str:
    """Return the text of a file.

    Raises:
        ScenarioError: it can't be read, or isn't UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScenarioError(f"{file}: can't be read as text ({reason})") from None


def read_csv(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a CSV with a header, each with its last line.

    Raises:
        ScenarioError: with file and line of the mistake.
    """
    reader = csv.DictReader(io.StringIO(read_text(file), newline=""), strict=True)
    try:
        for row in reader:
            if None in row:  # text after an unquoted comma must not be lost
                raise ScenarioError(
                    f"{file}:{reader.line_num}: more cells than in the header; "
                    'put texts with commas between " "'
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise ScenarioError(f"{file}:{reader.line_num + 1}: invalid CSV: {error}") from None


def read_jsonl(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a file with one JSON object a line, each with its line.

    Raises:
        ScenarioError: with file and line of the mistake.
    """
    for number, line in enumerate(read_text(file).split("\n"), 1):
        if line.strip():
            yield number, _object(_parsed(line, f"{file}:{number}"), f"{file}:{number}")


def _read_json(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = _parsed(read_text(file), str(file))
    if not isinstance(rows, list):
        raise ScenarioError(f"{file}: invalid data; it must be a list of objects, [{{…}}, …]")
    for number, row in enumerate(rows, 1):
        yield number, _object(row, f"{file}:{number}")


def _read_parquet(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow.parquet  # slow to import, and few scenarios need it

    try:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise ScenarioError(f"{file}: can't be read as Parquet ({reason})") from None
    yield from enumerate(rows, 1)


_READERS = {
    ".csv": read_csv,
    ".json": _read_json,
    ".jsonl": read_jsonl,
    ".parquet": _read_parquet,
}


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{place}: invalid JSON: {error}") from None


def _object(row: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise ScenarioError(f"{place}: invalid row; it must be an object of columns, {{…}}")
    return row


def _of_hub(name: str) -> Iterator[Row]:
    try:
        import datasets  # an extra, and slow to import
    except ImportError:
        raise ScenarioError(
            f"file or folder '{name}' not found; if it is a dataset of the hub: "
            "pip install 'undertow[data]'"
        ) from None
    dataset, _, revision = name.partition("@")
    pin = {"revision": revision or None}
    try:
        loaded = {
            config: datasets.load_dataset(dataset, config, **pin)
            for config in datasets.get_dataset_config_names(dataset, **pin)
        }
    except Exception as error:  # networks, gates and strangers' files fail in too many ways to list
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ScenarioError(
            f"file or folder '{name}' not found, and the hub gave no dataset of that name "
            f"({reason}); if it is gated, ask for access on its page and set HF_TOKEN"
        ) from None
    for config, splits in loaded.items():
        for split, rows in splits.items():
            for number, values in enumerate(rows, 1):
                yield Row(f"{name}/{config}/{split}:{number}", (config, split), values)
