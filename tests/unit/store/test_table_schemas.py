"""One schema per table: for whatever is in it, and refused if it doesn't fit."""

import io
import math
from typing import Any

import pandas as pd
import pyarrow.parquet
import pytest

from simulator.probes.summary import COLUMNS as SCORE
from simulator.simulation.conversation import Candidate
from simulator.simulation.monitoring import Veto
from simulator.simulation.population import UserRow
from simulator.simulation.screening import Screened
from simulator.simulation.statements import COLUMNS as STATEMENT
from simulator.store.arrow import arrow_schema, empty_table, to_parquet
from simulator.store.schemas import TABLES
from tests.helpers.tables import sample_of


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_table_has_the_schema_of_a_full_one(name: str) -> None:
    full = sample_of(name)
    unread = {c.name: None for c in TABLES[name].columns if c.optional}
    tables = {
        "full": full,
        "without rows": full[:0],
        "of no types": pd.DataFrame(columns=TABLES[name].names),
        "with gaps": full.assign(**unread),
        "turned around": full[full.columns[::-1]],
    }
    for kind, table in tables.items():
        found = pyarrow.parquet.read_schema(io.BytesIO(to_parquet(name, table)))
        assert found.equals(arrow_schema(name), check_metadata=True), kind
    assert empty_table(name).dtypes.equals(full.dtypes)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_comes_back_as_it_was(name: str) -> None:
    full = sample_of(name, round=[3, 4])
    content = to_parquet(name, full)
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(content)), full)
    assert to_parquet(name, full) == content


def test_an_empty_table_has_no_empty_row_group() -> None:
    """A reader that takes its batch size from the first one can't read it."""
    stored = pyarrow.parquet.ParquetFile(io.BytesIO(to_parquet("vetoes", sample_of("vetoes")[:0])))
    assert (stored.metadata.num_rows, stored.metadata.num_row_groups) == (0, 0)


def test_every_table_has_a_round_and_no_column_of_an_unknown_type() -> None:
    for name, schema in TABLES.items():
        assert schema.names[0] == "round", name
        assert len(set(schema.names)) == len(schema.names)
        assert "null" not in map(str, arrow_schema(name).types)
        assert all(column.meaning for column in schema.columns)


def test_the_makers_of_rows_have_the_columns() -> None:
    made = {
        "conversations": {*Candidate._fields, *STATEMENT},
        "vetoes": set(Veto._fields),
        "screening": set(Screened._fields),
        "scores": set(SCORE),
        "population": set(UserRow._fields),
    }
    assert made == {name: set(TABLES[name].names) for name in made}


def test_whole_numbers_stay_whole_beside_missing_ones() -> None:
    mixed = sample_of("examples", turn=[1, None], row=[None, None])
    read = pd.read_parquet(io.BytesIO(to_parquet("examples", mixed)))
    assert read["turn"].tolist() == [1, pd.NA] and str(read["turn"].dtype) == "Int64"
    assert str(read["row"].dtype) == "Int64"


def test_a_category_is_stored_as_text() -> None:
    plain = sample_of("scores", label=["a", "b"])
    assert to_parquet("scores", plain.astype({"label": "category"})) == to_parquet("scores", plain)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"more": [1]}, r"table scores: missing columns \[\], unknown columns \['more'\]"),
        ({"sample": [1.5]}, "table scores: values don't fit"),
        ({"sample": ["one"]}, "table scores: values don't fit"),
        ({"label": [None]}, "table scores: values don't fit"),
        ({"label": [7]}, "table scores: values don't fit"),
        ({"sample": [math.nan]}, "table scores: values don't fit"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, list[Any]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        to_parquet("scores", sample_of("scores").assign(**change))


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(ValueError, match=r"missing columns \['value'\], unknown columns \[\]"):
        to_parquet("scores", sample_of("scores").drop(columns="value"))
