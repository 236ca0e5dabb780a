#!/usr/bin/env bash
# `datasets` can't load a Parquet file whose table is empty, as pyarrow writes it: with one row
# group of no rows. It takes its batch size from the first row group. So a folder of which one file
# happens to be empty can't be loaded at all, though pyarrow, pandas, polars and DuckDB read it. The
# same schema without any row group is loaded.
#
# Versions: datasets 5.2.0, pyarrow 26.0.1, Python 3.11.
# Seen:
#   one row group of no rows: DatasetGenerationError: BatchSize must be greater than 0, got 0
#   no row group: 2 rows of both files
# What it means: a writer of many small tables, some of them empty, should leave the row group out
# (close a ParquetWriter on which nothing was written), rather than call write_table.
# It fails if `datasets` loads the first file, or refuses the second.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q datasets==5.2.0 pyarrow==26.0.1
cat > "$folder/program.py" <<'PY'
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

schema, folder = pa.schema([("round", pa.int64()), ("reply", pa.string())]), Path(sys.argv[1])
pq.write_table(pa.table({"round": [1, 1], "reply": ["a", "b"]}, schema), folder / "b.parquet")


def loaded(kind: str) -> str:
    files = [str(folder / f"{kind}.parquet"), str(folder / "b.parquet")]
    try:
        rows = datasets.load_dataset(
            "parquet", data_files=files, split="train", cache_dir=str(folder / f"cache-{kind}")
        )
    except Exception as error:
        while error.__cause__ is not None:
            cause, error = error, error.__cause__
        return f"{type(cause).__name__}: {error}"
    return f"{len(rows)} rows of both files"


pq.write_table(schema.empty_table(), folder / "group.parquet")
pq.ParquetWriter(folder / "none.parquet", schema).close()
assert pq.read_metadata(folder / "group.parquet").num_row_groups == 1
assert pq.read_metadata(folder / "none.parquet").num_row_groups == 0
for name in ("group", "none"):
    assert pq.read_table([folder / f"{name}.parquet", folder / "b.parquet"]).num_rows == 2
group, none = loaded("group"), loaded("none")
print("one row group of no rows:", group)
print("no row group:", none)
assert "BatchSize must be greater than 0" in group, group
assert none == "2 rows of both files", none
PY
"$folder/venv/bin/python" "$folder/program.py" "$folder" 2> /dev/null
