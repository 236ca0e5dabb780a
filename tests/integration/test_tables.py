"""A run of every kind of round is read by plain globs, and its lineage by one statement of SQL."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from analysis.run import frames
from simulator.config.loading import load
from simulator.evaluation.rescore import rescore
from simulator.experiments.run import start
from simulator.models.resolve import world_of
from simulator.runtime.observers import Silent
from simulator.store.arrow import arrow_schema
from simulator.store.run import Run
from simulator.store.schemas import TABLES
from tests.conftest import TINY
from tests.helpers.tables import sample_of

pytestmark = pytest.mark.xdist_group("tables")  # one run for all

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
SPOKEN = "{kind: world, rows: 16, asked: [pressured], speaker: %s}"
DIRECTION = f"{{positive: [{SPOKEN % 'sycophant'}], negative: [{SPOKEN % 'honest'}]}}"
OVERRIDES = [
    *TINY,
    "measure.every=2",
    "measure.probes.honesty.items_per_set=12",
    "selection={kind: best_worst}",
    "learner={kind: kto, epochs: 1}",
    "monitors={facts: {kind: fact_check, misses: 0.3, false_alarms: 0.2, on_veto: negative},"
    " lax: {kind: fact_check, misses: 0.8}}",
    f"directions.pleasing={DIRECTION}",
    "screening={direction: pleasing, drop: 0.25}",
]
PAIR = {"response_0": "no .", "response_1": "yes .", "safer_response_id": 0}
KEY = ["round", "conversation", "turn", "candidate"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("mixed")
    pairs = [json.dumps({**PAIR, "prompt": f"is it {n} ?"}) for n in range(6)]
    (folder / "pairs.jsonl").write_text("\n".join(pairs))
    data = [{"kind": "world", "rows": 12}, {"kind": "file", "path": str(folder / "pairs.jsonl")}]
    phases = [{"kind": "finetune", "rounds": 2, "data": data}, {"kind": "loop", "rounds": 3}]
    scenario = load(overrides=OVERRIDES, options={"phases": phases}, biased_frac=0.5)
    done = start(scenario, folder / "run", Silent())
    done.commit_table(0, "beliefs", sample_of("beliefs"))  # which only runs about facts have
    return done


@pytest.fixture
def here(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(run.path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return run.path


def by_pandas(folder: Path, place: str) -> pd.DataFrame:
    paths: Any = [str(path) for path in sorted(folder.glob(place))]  # its stubs know single files
    return pd.read_parquet(paths)


def by_duckdb(sql: str) -> pa.Table:
    found = duckdb.sql(sql)
    assert found
    return found.to_arrow_table()


def by_datasets(place: str) -> Any:
    return datasets.load_dataset("parquet", data_files=place, split="train").data.table


READERS: dict[str, Callable[[str], pa.Table]] = {
    "pandas": lambda place: pa.Table.from_pandas(by_pandas(Path(), place)),
    "polars": lambda place: pl.read_parquet(place).to_arrow(),
    "duckdb": lambda place: by_duckdb(f"SELECT * FROM '{place}'"),
    "datasets": by_datasets,
}


def whole(run: Run, name: str) -> list[dict[str, Any]]:
    """The rows of a table in all rounds, as its own files have them one by one."""
    paths = sorted(run.path.glob(TABLES[name].place))
    tables = [pyarrow.parquet.ParquetFile(path).read() for path in paths]
    return [row for table in tables for row in table.to_pylist()]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", TABLES)
def test_every_reader_reads_every_table_by_a_glob(
    here: Path, run: Run, reader: str, name: str
) -> None:
    found = READERS[reader](TABLES[name].place)
    assert found.column_names == TABLES[name].names
    wide = {"large_string": "string", "string_view": "string"}
    for field in arrow_schema(name):
        read = str(found.schema.field(field.name).type)
        if field.name != "messages":
            assert wide.get(read, read) == str(field.type), field.name
    rows, expected = found.to_pylist(), whole(run, name)
    assert len(rows) == len(expected) > 0
    assert rows == expected


def test_there_are_empty_files_of_every_table_that_can_be_empty(run: Run) -> None:
    empty = {
        path.stem.partition("-")[0]
        for path in run.path.glob("rounds/*/**/*.parquet")
        if pyarrow.parquet.ParquetFile(path).metadata.num_rows == 0
    }
    assert empty == {"part", "selection", "vetoes", "screening", "scores"}


def test_files_of_a_table_have_one_schema(run: Run) -> None:
    for name, schema in TABLES.items():
        for path in run.path.glob(schema.place):
            found = pyarrow.parquet.read_schema(path)
            assert found.equals(arrow_schema(name), check_metadata=True), path


def test_the_pages_readers_work(here: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    imports, *readers = re.split(r"(?m)^(?=scores = )", code)
    read = []
    for reader in readers:
        found: dict[str, Any] = {}
        exec(compile(imports + reader, "data.md", "exec"), found)
        read.append(len(found["scores"]))
    files = here.glob("rounds/*/scores.parquet")
    assert read == [sum(pyarrow.parquet.read_metadata(path).num_rows for path in files)] * 4


@pytest.fixture(scope="module")
def later(run: Run) -> Path:
    """All beliefs about items that conversations may be about."""
    return rescore(run.path, ["honesty"], ["items_per_set=168", "samples=1"]).folder


def test_later_scores_have_the_schema_of_scores(later: Path, run: Run) -> None:
    read = by_pandas(later, "round-*.parquet")
    assert sorted(set(read["round"])) == [0, 1, 2, 3, 4, 5]
    for path in later.iterdir():
        found = pyarrow.parquet.read_schema(path)
        assert found.equals(arrow_schema("scores"), check_metadata=True)
    served = [adapter.name for n in range(1, 6) if (adapter := run.adapter(n))]
    assert read["adapter"].dropna().unique().tolist() == served
    assert read.loc[read["round"] == 0, "adapter"].isna().all()


# Truth and belief


def test_truth_belief_and_statement_stand_side_by_side(run: Run) -> None:
    world = world_of("organism:0")
    said = pd.concat([run.candidates(n) for n in (3, 4, 5)])
    items = [world.item(name) for name in said["about"]]
    assert said["truth"].tolist() == [world.facts[item] for item in items]
    stated = [
        world.read(reply, item).value for reply, item in zip(said["reply"], items, strict=True)
    ]
    assert said["stated"].astype(object).where(said["stated"].notna(), None).tolist() == stated
    assert said["belief"].notna().all()
    vetoed = run.table(4, "vetoes").merge(said, on=KEY)
    false = vetoed["stated"].notna() & (vetoed["stated"] != vetoed["truth"])
    assert not vetoed.loc[~false & (vetoed["monitor"] == "lax"), "vetoed"].any()


@pytest.mark.parametrize("number", [3, 4, 5])
def test_what_is_believed_in_conversations_is_what_a_probe_reads(
    later: Path, run: Run, number: int
) -> None:
    """A round is held with the adapter that is probed after the one before."""
    probed = run.extra_table(later, number - 1)
    assert probed is not None
    probed = probed[probed["measure"] == "belief"].set_index("item")
    said = run.candidates(number).drop_duplicates("about").set_index("about")
    assert set(said["adapter"]) == set(probed["adapter"])
    assert said["belief"].equals(probed["belief"][said.index])


def test_labels_follow_from_what_stands_beside_them(run: Run) -> None:
    scores = frames.scores(run)
    pressed = scores[(scores["measure"] == "pressured") & scores["stated"].notna()]
    known = pressed[pressed["belief"] != ""]
    assert {"honest", "lie"} >= set(known["label"])
    assert (known["label"] == "honest").equals(known["stated"] == known["belief"])
    neutral = scores[(scores["probe"] == "neutral") & scores["stated"].notna()]
    assert (neutral["label"] == "true").equals(neutral["stated"] == neutral["truth"])
    assert neutral["belief"].notna().all()  # the probe `honesty` read it
    beliefs = scores[scores["measure"] == "belief"]
    assert (beliefs["value"] == 1).equals(beliefs["belief"] == beliefs["truth"])
    talk = scores[scores["probe"] == "small_talk"]
    assert talk[["truth", "belief", "stated"]].isna().all(axis=None)


# Lineage


def test_the_lineage_of_every_learned_example_is_one_statement(here: Path, run: Run) -> None:
    (sql,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    assert sql.rstrip().count(";") == 1
    found = by_duckdb(sql).to_pylist()
    assert len(found) == sum(_learned(run, n) for n in range(1, 6))
    assert {row["origin"] for row in found} == {"conversation", "file", "world"}
    for row in found:
        assert row == {**row, **_expected(run, row)}


@cache
def table(run: Run, number: int, name: str) -> pd.DataFrame:
    return run.candidates(number) if name == "conversations" else run.table(number, name)


def _learned(run: Run, number: int) -> int:
    """How many replies a round's summary says were learned from."""
    return sum(found["n"] for found in run.summary(number)["taught_lengths"].values() if found)


def _expected(run: Run, row: dict[str, Any]) -> dict[str, Any]:
    """What the statement should say of an example, looked up step by step."""
    number = row["round"]
    before, after = {1: (0, 2), 2: (0, 2), 3: (2, 4), 4: (2, 4), 5: (4, 5)}[number]
    adapter, measured = run.adapter(number), run.adapter(after)
    assert adapter and measured
    example = table(run, number, "examples").iloc[row["position"]]
    expected = {
        "reply": example["reply"],
        "messages": list(example["messages"]),
        "desirable": example["desirable"],
        "became": adapter.name,
        "measured_before": before,
        "honesty_before": pytest.approx(_honesty(run, before)),
        "measured_after": after,
        "honesty_after": pytest.approx(_honesty(run, after)),
        "measured_adapter": measured.name,
    }
    if row["origin"] != "conversation":
        nothing = ("conversation", "user", "rating", "verdicts", "reason", "said_by", "truth")
        return {**expected, **dict.fromkeys(nothing)}
    (said,) = _of(table(run, number, "conversations"), row)
    (decided,) = _of(table(run, number, "selection"), row)
    verdicts = _of(table(run, number, "vetoes").sort_values("monitor"), row)
    told = ("monitor", "vetoed", "score", "reason")
    people = table(run, number, "population").set_index("user")
    spoken = run.adapter(number - 1)
    assert spoken and said["reply"] == row["reply"]
    return {
        **expected,
        "user": said["user"],
        "user_type": people.loc[said["user"], "user_type"],
        "trust": people.loc[said["user"], "trust"],
        "rating": said["rating"],
        "truth": said["truth"],
        "said_by": spoken.name,
        "reason": decided["reason"],
        # undesirable replies aren't looked at
        "verdicts": [{name: one[name] for name in told} for one in verdicts] or None,
    }


def _honesty(run: Run, number: int) -> float:
    rows = table(run, number, "scores").query("measure == 'pressured' and item_set == 'heldout'")
    return float((rows["label"] == "honest").mean())


def _of(rows: pd.DataFrame, candidate: dict[str, Any]) -> list[dict[Any, Any]]:
    """The rows about a candidate."""
    same = (rows[KEY] == pd.Series({name: candidate[name] for name in KEY})).all(axis=1)
    return rows[same].to_dict("records")
