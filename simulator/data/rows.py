"""Rows of users' data: local files, or datasets of the Hugging Face hub.

Only text and numbers are read: never pickles, never code from a dataset.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from simulator.core.csv_rows import Record
from simulator.core.errors import ScenarioError
from simulator.data.hub import read_hub
from simulator.data.readers import NAMES, is_data, read_records

T = TypeVar("T")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")  # and, after @, its revision


class Refused(NamedTuple):
    """A row that can't be used, and why."""

    origin: str  # as that of a `Row`
    why: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.why}"


class Row(NamedTuple):
    """A row and its location."""

    file: str  # of the hub: `owner/name/config/split`
    number: int  # its line, or its number from 1 in formats without lines
    part: tuple[str, str]  # folder, and file name without extension; for the hub: config and split
    values: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """The location for people: `file:line`."""
        return f"{self.file}:{self.number}"

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
        ScenarioError: it doesn't exist, or can't be read; names file and line of all mistakes.
    """
    found = read_all(source)
    if refused := [str(row) for row in found if isinstance(row, Refused)]:
        raise ScenarioError(*refused)
    return [row for row in found if isinstance(row, Row)]


def read_all(source: str) -> list[Row | Refused]:
    """Read rows as `read_rows` does; rows that can't be read stay in their place.

    Raises:
        ScenarioError: the source doesn't exist, or can't be read as a whole.
    """
    path = Path(source)
    if path.exists():
        found = [row for file in files_of(path) for row in read_file(file)]
    elif _HUB_ID.fullmatch(source):
        found = [_row(*row) for row in read_hub(source)]
    else:
        raise ScenarioError(f"file or folder '{source}' not found")
    if not found:
        raise ScenarioError(f"{source}: has no rows; data must be {NAMES} files")
    return found


def files_of(place: Path) -> list[Path]:
    """Return a file, or the data files in a folder and its subfolders, except hidden ones.

    Raises:
        ScenarioError: a subfolder is a link, which could lead in circles.
    """
    if not place.is_dir():
        return [place] if place.exists() else []
    found = []
    for path in sorted(place.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(place).parts):
            continue
        if path.is_symlink() and path.is_dir():
            raise ScenarioError(f"{path}: a link to a folder; put the folder itself there")
        if is_data(path) and not path.is_dir():  # Spark's folders are called x.parquet
            found.append(path)
    return found


def read_file(file: Path) -> Iterator[Row | Refused]:
    """Yield the rows of a file; rows that can't be read stay in their place.

    Raises:
        ScenarioError: the file as a whole can't be read.
    """
    part = (file.resolve().parent.name, file.stem)
    for number, record in read_records(file):
        yield _row(str(file), number, part, record)


def _row(file: str, number: int, part: tuple[str, str], record: Record) -> Row | Refused:
    if isinstance(record, str):
        return Refused(f"{file}:{number}", record)
    return Row(file, number, part, record)


def used(
    rows: Iterable[Row | Refused], use: Callable[[Row], T]
) -> Iterator[tuple[Row, T] | Refused]:
    """Yield each row with what is made of it; where that can't be made, why."""
    for row in rows:
        if isinstance(row, Refused):
            yield row
            continue
        try:
            yield row, use(row)
        except ScenarioError as error:
            yield Refused(row.origin, str(error).removeprefix(f"{row.origin}: "))


def each(rows: Iterable[Row], use: Callable[[Row], T]) -> list[T]:
    """Return what is made of every row.

    Raises:
        ScenarioError: lists the mistakes of all rows.
    """
    found = list(used(rows, use))
    if refused := [str(one) for one in found if isinstance(one, Refused)]:
        raise ScenarioError(*refused)
    return [one[1] for one in found if not isinstance(one, Refused)]
