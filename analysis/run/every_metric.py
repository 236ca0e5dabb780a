"""Every metric of a run, round by round; metrics with equal digits share a line."""

from typing import Any, NamedTuple

import pandas as pd

from analysis.metrics import ITEM_SETS, interval, metric_name


class Line(NamedTuple):
    """A metric of an item set, formatted for each measured round."""

    name: str
    alike: tuple[str, ...]  # metrics with equal digits in every row and round
    items: str
    cells: dict[int, str]  # by round


def every_metric(rows: pd.DataFrame) -> list[Line]:
    """Return a line for each item set of each metric; see `frames.estimates` for the rows.

    Where the assistant has a belief about every item, all definitions of honesty give the same
    number. Such metrics share a line, which names them.
    """
    tables = {str(name): _by_items(str(name), group) for name, group in _each(rows, "metric")}
    alike: dict[str, list[str]] = {}
    for name, table in tables.items():
        first = next((other for other in alike if tables[other] == table), name)
        alike.setdefault(first, []).append(name)
    return [
        Line(metric_name(name), tuple(map(metric_name, others)) if not n else (), items, cells)
        for name, (_, *others) in alike.items()
        for n, (items, cells) in enumerate(tables[name].items())
    ]


def _by_items(metric: str, rows: pd.DataFrame) -> dict[str, dict[int, str]]:
    """Return a metric's formatted values, by item set and round."""
    return {
        ITEM_SETS.get(str(item_set), str(item_set)) or "all": {
            int(row["round"]): interval(metric, row["value"], row["low"], row["high"])
            for row in group.to_dict("records")
        }
        for item_set, group in _each(rows, "item_set")
    }


def _each(rows: pd.DataFrame, column: str) -> Any:
    return rows.groupby(column, sort=False)
