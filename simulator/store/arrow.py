"""Tables as Arrow and Parquet, cast to their schemas; the same rows give the same bytes."""

import io
from functools import cache
from typing import TYPE_CHECKING

from simulator.store.schemas import TABLES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@cache
def arrow_schema(name: str) -> "pa.Schema":
    """Return the Arrow schema of a table, with the types that pandas reads it back with."""
    import pandas as pd
    import pyarrow as pa

    columns = TABLES[name].columns
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    chat = pa.list_(pa.field("element", message))  # as Parquet calls it
    kinds = {
        "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "text": pa.string(),
        "chat": chat,
    }  # fmt: skip
    empty = pd.DataFrame({c.name: pd.Series(dtype=c.pandas_type) for c in columns})
    fields = [pa.field(c.name, kinds[c.type], nullable=c.optional) for c in columns]
    return pa.schema(fields, pa.Schema.from_pandas(empty, preserve_index=False).metadata)


def to_parquet(name: str, frame: "pd.DataFrame") -> bytes:
    """Return a table as Parquet, cast to its schema.

    Raises:
        ValueError: a column is missing or unknown, or has values that don't fit; that is a bug.
    """
    import pyarrow.parquet

    buffer, table = io.BytesIO(), _to_arrow(name, frame)
    with pyarrow.parquet.ParquetWriter(buffer, table.schema) as writer:
        if table.num_rows:  # `datasets` (5.2) can't read a row group without rows
            writer.write_table(table)
    return buffer.getvalue()


def read_parquet(content: bytes, columns: list[str] | None = None) -> "pa.Table":
    """Read a table, and check it whole: texts that are no UTF-8 would be noticed only in use.

    Raises:
        ArrowException, OSError, LookupError, ValueError: it isn't a table, or is damaged.
    """
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(io.BytesIO(content), columns=columns)
    table.validate(full=True)
    return table


def empty_table(name: str) -> "pd.DataFrame":
    """Return a table without rows."""
    found: pd.DataFrame = arrow_schema(name).empty_table().to_pandas()
    return found


def in_schema(name: str, frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table with the types of its schema, as if it had been written and read.

    Raises:
        ValueError: see `to_parquet`.
    """
    found: pd.DataFrame = _to_arrow(name, frame).to_pandas()
    return found


def _to_arrow(name: str, frame: "pd.DataFrame") -> "pa.Table":
    import pyarrow as pa

    schema = arrow_schema(name)
    missing = [column for column in schema.names if column not in frame]
    unknown = [column for column in frame if column not in schema.names]
    if missing or unknown:
        raise ValueError(f"table {name}: missing columns {missing}, unknown columns {unknown}")
    try:
        table = pa.Table.from_pandas(frame[schema.names], schema, preserve_index=False)
    except (pa.ArrowException, ValueError) as error:
        raise ValueError(f"table {name}: values don't fit: {error}") from error
    return table.replace_schema_metadata(schema.metadata)
