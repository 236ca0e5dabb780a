"""Reading CSV files row by row, each row with its line.

A row that can't be read doesn't end the reading: what is wrong with it takes its place.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from simulator.core.errors import ScenarioError
from simulator.core.texts import flaw_within, read_text

SEPARATORS = ",;\t"  # of cells; spreadsheets write semicolons where commas are in numbers
LONGEST_CELL = 2**31 - 1  # characters; Python's own limit of 131,072 is for a whole process

Record: TypeAlias = Mapping[str, Any] | str  # a row's columns, or what is wrong with it


def read_csv(file: Path) -> Iterator[tuple[int, Record]]:
    """Yield the rows of a CSV with a header, each with its last line.

    Raises:
        ScenarioError: the file can't be read, or its header can't.
    """
    if csv.field_size_limit() < LONGEST_CELL:
        # Every thread sets the same value, so none can undo another's.
        csv.field_size_limit(LONGEST_CELL)
    text = read_text(file)
    separator = _separator(text)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        columns = reader.fieldnames or []
    except csv.Error as error:
        raise ScenarioError(f"{file}:1: invalid CSV: {error}") from None
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise ScenarioError(f"{file}:1: two columns have the name '{twice[0]}'; rename one")
    while columns:
        before = reader.reader.line_num
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield before + 1, f"invalid CSV: {error}"
            continue
        if None in row:  # text after an unquoted comma must not be lost
            what = f"more cells than in the header; put texts with '{separator}' between \" \""
            yield reader.line_num, what
        else:
            yield reader.line_num, flaw_within(row, escaped=False) or row


def _separator(text: str) -> str:
    """Return what separates the names of the first line; a comma if it has only one."""
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return next((mark for mark in SEPARATORS if mark in header), ",")
