"""The format of run directories, and the conversion from earlier formats.

Format 1 (until 6d899d2, without a number in the manifest) has other names for the entries below.
Format 2 (until 02fa79d) and format 1 have tables without a fixed schema: no rounds, messages as
JSON, and an example's source as one text. A run that was begun in an earlier format goes on in the
present one, so every table is looked at by itself.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from simulator.core.messages import messages_from_json, messages_to_rows
from simulator.store.arrow import in_schema
from simulator.store.schemas import TABLES, Column

FORMAT = 3  # raised when a stored name or column changes
RESULTS = 1  # raised when equal scenarios and packages give other bytes than before
SUMMARY_KEYS = {"talks": "conversation_counts"}
SIGNALS = {"follow": "desirable", "avoid": "undesirable"}  # of `taught_lengths`
SIDES = {" toward": " positive", " away": " negative"}  # endings of measures in `scores.parquet`
NOTHING = {"int": 0, "float": float("nan"), "bool": False, "text": ""}  # what wasn't stored
# Sources of examples: `conversation/turn/candidate`, `speaker/asked/row/reply`, `file:row/which`
SOURCES = {
    "conversation": r"(?P<conversation>\d+-\d+-\d+)/(?P<turn>\d+)/(?P<candidate>\d+)",
    "world": r"(?P<speaker>\w+)/(?P<asked>neutral|pressured|small_talk)/(?P<row>\d+)/reply",
    "file": r"(?P<file>.*):(?P<row>\d+)/(?P<which>[^/]+)",
}
_WHOLE = dict.fromkeys(("turn", "candidate", "row"), "Int64")  # keys that are numbers


def present_summary(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a round with the present keys."""
    found = {SUMMARY_KEYS.get(key, key): value for key, value in summary.items()}
    if taught := found.get("taught_lengths"):
        found["taught_lengths"] = {SIGNALS.get(key, key): value for key, value in taught.items()}
    return found


def present_table(name: str, table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return a table of a round with the present columns.

    What an earlier format didn't store is missing, or empty where nothing can be missing.
    """
    schema = TABLES[name]
    if set(table.columns) == set(schema.names):
        return table
    if name in _CONVERSIONS and "round" not in table:  # of format 1 or 2
        table = _CONVERSIONS[name](table)
    added = {
        column.name: number if column.name == "round" else _nothing(column)
        for column in schema.columns
        if column.name not in table
    }
    return in_schema(name, table.assign(**added)[schema.names])


def _nothing(column: Column) -> Any:
    return None if column.optional else NOTHING[column.type]


def _present_conversations(table: pd.DataFrame) -> pd.DataFrame:
    """Read messages from JSON, and wave and number from the name, as in `3-0-0017`."""
    parts = [name.split("-") for name in table["conversation"]]
    return table.assign(
        messages=_messages(table),
        wave=[int(wave) for _, wave, _ in parts],
        number=[int(number) for *_, number in parts],
    )


def _present_examples(table: pd.DataFrame) -> pd.DataFrame:
    """Read messages from JSON, and the source from its text."""
    sources = [_source(text) for text in table["source"]]
    keys = {key: None for pattern in SOURCES.values() for key in re.compile(pattern).groupindex}
    columns = {
        key: pd.Series([source.get(key) for source in sources], table.index, object)
        for key in ("origin", *keys)
    }
    found = table.assign(messages=_messages(table), position=range(len(table)), **columns)
    return found.drop(columns="source").astype(_WHOLE)


def _source(text: str) -> dict[str, Any]:
    for origin, pattern in SOURCES.items():
        if found := re.fullmatch(pattern, text):
            keys = found.groupdict().items()
            return {"origin": origin, **{k: int(v) if k in _WHOLE else v for k, v in keys}}
    return {"origin": "file", "file": text}


def _messages(table: pd.DataFrame) -> "pd.Series[Any]":
    found = [messages_to_rows(messages_from_json(text)) for text in table["messages"]]
    return pd.Series(found, table.index, object)


def _present_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Give measures their present names."""
    measure = table["measure"]
    for before, now in SIDES.items():
        measure = measure.where(
            ~measure.str.endswith(before), measure.str.removesuffix(before) + now
        )
    return table.assign(measure=measure)


_CONVERSIONS: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "conversations": _present_conversations,
    "examples": _present_examples,
    "scores": _present_scores,
}
