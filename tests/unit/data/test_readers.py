"""Files as people have them: JSON in several shapes, long cells, encodings, odd characters."""

import csv
import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator.core.errors import ScenarioError
from simulator.core.texts import flaw, read_flawless
from simulator.data.readers import MOST_ROWS, read_records
from simulator.data.rows import Refused, read_all, read_rows

ROWS = [{"id": "a"}, {"id": "b"}]
LINES = "\n".join(json.dumps(row) for row in ROWS)


def put(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", LINES),
        ("x.json", f"\ufeff\r\n{LINES}\r\n"),
        ("x.json", json.dumps(ROWS, indent=1)),
        ("x.json", json.dumps({"data": ROWS})),
        ("x.json", json.dumps({"version": 1, "data": ROWS}, indent=1)),
        ("x.jsonl", json.dumps(ROWS)),
        ("x.jsonl", json.dumps(ROWS, indent=1)),
        ("x.jsonl", LINES.replace("\n", "\r\n")),
    ],
)
def test_json_is_read_in_every_usual_shape(tmp_path: Path, name: str, content: str) -> None:
    assert [row.values for row in read_rows(put(tmp_path, name, content))] == ROWS


@pytest.mark.parametrize("text", ['{"id": "a"}', '{\n"id": "a"\n}'])
def test_one_object_is_one_row(tmp_path: Path, text: str) -> None:
    (row,) = read_rows(put(tmp_path, "x.json", text))
    assert row.values == ROWS[0] and row.origin.endswith("x.json:1")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "a;b\n1, 2;3\n"),
        ("x.csv", '\ufeffa;b\r\n"1, 2";3\r\n'),
        ("x.csv", "a\tb\n1, 2\t3\n"),
        ("x.tsv", "a\tb\n1, 2\t3\n"),
        ("x.csv", 'a,b\n"1, 2",3\n'),
        ("x.csv", 'a,"b"\r"1, 2",3\r'),
        ("x.ndjson", '{"a": "1, 2", "b": "3"}\n'),
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path: Path, name: str, text: str) -> None:
    (row,) = read_rows(put(tmp_path, name, text))
    assert row.values == {"a": "1, 2", "b": "3"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.jsonl", '{"a": 1}\n{"a": 1, "a": 2}', "x.jsonl:2: invalid JSON: an object has"),
        ("x.json", '[{"m": [{"a": 1, "a": 2}]}]', "an object has the key 'a' twice"),
        ("x.csv", "a,b,a\n1,2,3", "x.csv:1: two columns have the name 'a'"),
        ("x.jsonl.gz", b"\x1f\x8b", "x.jsonl.gz: is packed; unpack it"),
        ("x.csv", "version https://git-lfs.github.com/spec/v1\noid 0\n", "run 'git lfs pull'"),
        ("x.parquet", "version https://git-lfs.github.com/spec/v1\n", "run 'git lfs pull'"),
    ],
)  # fmt: skip
def test_what_would_be_lost_is_refused(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    path = put(tmp_path, name, content)
    for source in (path, str(tmp_path)):  # also among the files of a folder
        with pytest.raises(ScenarioError) as caught:
            read_rows(source)
        assert words in str(caught.value)


def test_every_file_of_a_folder_is_read_once(tmp_path: Path) -> None:
    """Spark writes folders that are called like files."""
    for name in ("a.parquet", "b.jsonl"):
        (tmp_path / name).mkdir()
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "a.parquet" / "part-0.parquet")
    put(tmp_path / "b.jsonl", "part-0.json", '{"id": "b"}')
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "b.jsonl" / "part-0.json")
    found = [row.values["id"] for row in read_rows(str(tmp_path))]
    assert found == ["a", "b", "b"]
    (tmp_path / "d").symlink_to(tmp_path)
    with pytest.raises(ScenarioError, match="d: a link to a folder"):
        read_rows(str(tmp_path))


@pytest.mark.parametrize("size", [140_000, 2_000_000])
def test_long_cells_are_read_in_every_thread(tmp_path: Path, size: int) -> None:
    path = put(tmp_path, "x.csv", f'id\n"{"é" * size}"\nb\n')
    csv.field_size_limit(131_072)
    found: list[int] = []

    def read() -> None:
        found.append(len(read_rows(path)[0].values["id"]))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [size] * 8


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.jsonl", b'{"id": "a"}\n{"id": "caf\xe9"}\n', "2: has the byte 0xe9, which isn't UTF-8"),
        ("x.jsonl", b'{"id": "a"}\n{"id": "\xed\xa0\xbd"}\n', "2: has the byte 0xed"),
        ("x.jsonl", '{"id": "a"}\n{"id": "\\ud83d"}\n', "2: has half of a character, \\ud83d"),
        ("x.jsonl", '{"id": "a"}\n{"id": "\\udc80"}\n', "2: has half of a character, \\udc80"),
        ("x.jsonl", '{"id": "a"}\n{"\\ud83d": 1}\n', "2: has half of a character"),
        ("x.jsonl", '{"id": "a"}\n{"id": [{"x": "\\uD83D"}]}\n', "2: has half of a character"),
        ("x.jsonl", '{"id": "a"}\n{"id": "a\\u0000b"}\n', "2: has a NUL character"),
        ("x.jsonl", '{"id": "a"}\n{"id": "a\0b"}\n', "2: has a NUL character"),
        ("x.json", '[{"id": "a"}, {"id": "\\ud83d"}]', "2: has half of a character"),
        ("x.json", b'[{"id": "a"}, {"id": "caf\xe9"}]', "2: has the byte 0xe9"),
        ("x.json", b'{"id": "a"}\n{"id": "caf\xe9"}\n', "2: has the byte 0xe9"),
        ("x.csv", b"id\na\ncaf\xe9\n", "3: has the byte 0xe9, which isn't UTF-8"),
        ("x.csv", b"id\na\n\x00\n", "3: has a NUL character"),
        ("x.csv", b'id\na\n"b"c\nd\n', "3: invalid CSV"),
        ("x.csv", b"id\na\nb, c\nd\n", "3: more cells than in the header"),
        ("x.jsonl", b'{"id": "a"}\n{"id"\n', "2: invalid JSON"),
        ("x.json", b'{"id": "a"}\n{"id"\n', "2: invalid JSON"),
    ],
)
def test_a_flawed_row_is_named_and_the_others_are_read(
    tmp_path: Path, name: str, content: str | bytes, why: str
) -> None:
    path = put(tmp_path, name, content)
    found = read_all(path)
    assert not isinstance(found[0], Refused) and found[0].values == ROWS[0]
    refused = [row for row in found if isinstance(row, Refused)]
    assert [str(row).startswith(f"{path}:{why}") for row in refused] == [True]
    with pytest.raises(ScenarioError):
        read_rows(path)
    str(refused[0]).encode()  # can be printed


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.jsonl"])
def test_other_encodings_are_refused_by_name(tmp_path: Path, name: str, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path = put(tmp_path, name, f"{mark}{LINES}".encode(encoding))
    with pytest.raises(ScenarioError, match=r"x\.\w+:1: is UTF-\d+, not UTF-8; save the file"):
        read_rows(path)


def test_whole_characters_are_no_flaw(tmp_path: Path) -> None:
    text = json.dumps({"id": "\U0001f480 é \u0301"})  # in escapes, as two halves
    (row,) = read_rows(put(tmp_path, "x.jsonl", text))
    assert row.values["id"] == "\U0001f480 é \u0301"
    assert flaw("\U0001f480 é\t\n") == ""


def test_all_flawed_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"a\n\xe9\nb\n\xe8\n")
    with pytest.raises(ScenarioError) as caught:
        read_flawless(path)
    assert [mistake.split(":")[1] for mistake in caught.value.mistakes] == ["2", "4"]


# Parquet


def parquet(folder: Path, column: Any) -> str:
    path = folder / "x.parquet"
    pq.write_table(pa.table({"id": column}), path)
    return str(path)


def test_texts_in_binary_columns_are_read(tmp_path: Path) -> None:
    path = parquet(tmp_path, pa.array([b"a", "é".encode(), None], pa.binary()))
    assert [row.values["id"] for row in read_rows(path)] == ["a", "é", None]
    nested = pa.array([[{"content": b"a"}]], pa.list_(pa.struct([("content", pa.binary())])))
    assert read_rows(parquet(tmp_path, nested))[0].values["id"] == [{"content": "a"}]


def test_bytes_that_are_no_text_are_refused_where_text_is_needed(tmp_path: Path) -> None:
    (row,) = read_rows(parquet(tmp_path, pa.array([b"\xff\x00"], pa.binary())))
    with pytest.raises(ScenarioError, match=r"x\.parquet:1: id: must be text, not bytes"):
        row.text("id")


def test_flaws_in_parquet_are_named_by_row(tmp_path: Path) -> None:
    wrong = pa.array([b"a", b"caf\xe9", b"n\x00"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 3, wrong.buffers())
    found = read_all(parquet(tmp_path, broken))
    assert [isinstance(row, Refused) for row in found] == [False, True, True]
    assert "x.parquet:2: has the byte 0xe9" in str(found[1])
    assert "x.parquet:3: has a NUL character" in str(found[2])


def test_a_small_file_that_tells_of_millions_of_rows_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": pa.nulls(MOST_ROWS + 1, pa.int8())}), file)
    assert file.stat().st_size < 100_000
    with pytest.raises(ScenarioError, match="has 5,000,001 rows; at most 5,000,000"):
        list(read_records(file))
