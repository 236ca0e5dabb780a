"""Rows of a run's tables, filled in by type."""

from typing import Any

import pandas as pd

from simulator.store.arrow import in_schema
from simulator.store.schemas import TABLES, Type

FILLED: dict[Type, Any] = {
    "int": 1,
    "float": 0.5,
    "bool": True,
    "text": "x",
    "chat": [{"role": "user", "content": "hi"}],
}


def sample_of(name: str, **columns: list[Any]) -> pd.DataFrame:
    """Returns a table whose columns are all filled, with these in place of some."""
    count = len(next(iter(columns.values()), [None]))
    filled = {column.name: [FILLED[column.type]] * count for column in TABLES[name].columns}
    return in_schema(name, pd.DataFrame({**filled, **columns}))
