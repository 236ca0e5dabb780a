"""Data that users bring: rows of files, of folders and of the hub, and what is wrong with them."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import yaml

from simulator.config.loading import load
from simulator.core.errors import ScenarioError
from simulator.data.rows import Row, read_rows
from simulator.probes.benchmarks.deception_bench import deception_items
from simulator.probes.benchmarks.mask_data import mask_items
from simulator.probes.data_probe import DataProbe
from simulator.runtime.probe_context import context_of
from simulator.runtime.upper_bounds import bounds
from tests.helpers.planted_assistants import DECEPTION, MASK

ROWS = [{"id": "a", "text": "one,\ntwo"}, {"id": "b", "text": "ünlike"}]


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".csv":
        table.to_csv(path, index=False, encoding="utf-8-sig")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize(
    ("name", "last"), [("x.parquet", 2), ("x.csv", 4), ("x.json", 2), ("x.jsonl", 3)]
)
def test_all_formats_say_the_same(tmp_path: Path, name: str, last: int) -> None:
    path = write(tmp_path, name, ROWS)
    found = read_rows(str(path))
    assert [dict(row.values) for row in found] == ROWS
    assert found[-1].origin == f"{path}:{last}"  # the line, or the row where lines mean nothing
    assert found[0].part == (tmp_path.name, "x")


def test_folders_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a/test-00000-of-00001.parquet", ".cache/c.jsonl"):
        write(tmp_path, name, ROWS[:1])
    (tmp_path / "README.md").write_text("not data")
    parts = [row.part for row in read_rows(str(tmp_path))]
    assert parts == [("a", "test-00000-of-00001"), (tmp_path.name, "b")]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.csv", 'id,text\n"a"b,c\n', "x.csv:2: invalid CSV"),
        ("x.csv", "id,text\na,b, c\n", "x.csv:2: more cells than in the header"),
        ("x.jsonl", '{"id": 1}\n{"id"', "x.jsonl:2: invalid JSON"),
        ("x.jsonl", "[1]", "x.jsonl:1: invalid row; it must be an object"),
        ("x.json", "{}", "x.json: invalid data; it must be a list of objects"),
        ("x.json", "[1]", "x.json:1: invalid row; it must be an object"),
        ("x.json", "[" * 100_000, "x.json: invalid JSON"),
        ("x.json", b"\xff", "x.json:1: has the byte 0xff, which isn't UTF-8"),
        ("x.parquet", "PAR1", "x.parquet: can't be read as Parquet"),
        (
            "x.pkl",
            b"\x80\x04.",
            "x.pkl: invalid type of file; data must be parquet, csv, tsv, json or jsonl files",
        ),
        ("x.csv", "id,text\n", "x.csv: has no rows"),
        ("x", None, "file or folder"),
    ],
)
def test_mistakes_in_files_are_named_with_their_line(
    tmp_path: Path, name: str, content: str | bytes | None, sentence: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ScenarioError) as caught:
        read_rows(str(path))
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(sentence)


def test_cells_are_text_or_the_mistake_is_named() -> None:
    row = Row("f.csv", 3, ("", "f"), {"id": 7, "none": None, "blank": " ", "list": [1]})
    assert (row.name("id"), row.optional("none")) == ("7", "")
    for column, sentence in [
        ("gone", "f.csv:3: gone: this column is missing; there are id, none, blank, list"),
        ("none", "f.csv:3: none: is empty"),
        ("blank", "f.csv:3: blank: is empty"),
        ("list", "f.csv:3: list: must be text, not list"),
    ]:
        with pytest.raises(ScenarioError) as caught:
            row.text(column)
        assert str(caught.value) == sentence


# The hub, without a network


def hub(loaded: dict[str, Any] | Exception) -> ModuleType:
    """A hub of one dataset, `an/owner.s-data`; what it was asked for is in `asked`."""
    module = ModuleType("datasets")
    module.__dict__["asked"] = asked = []

    def configs(name: str, revision: str | None) -> list[str]:
        if isinstance(loaded, Exception):
            raise loaded
        asked.append((name, revision))
        return list(loaded)

    def load_dataset(name: str, config: str, revision: str | None) -> dict[str, Any]:
        assert not isinstance(loaded, Exception)
        asked.append((name, revision))
        return {"test": loaded[config]}

    module.__dict__.update(get_dataset_config_names=configs, load_dataset=load_dataset)
    return module


def test_all_configs_of_a_hub_dataset_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [json.loads(line) for line in (MASK / "statistics.jsonl").read_text().splitlines()]
    monkeypatch.setitem(sys.modules, "datasets", hub({"statistics": rows}))
    found = read_rows("an/owner.s-data")
    assert found[1].origin == "an/owner.s-data/statistics/test:2"
    assert [item.name for item in mask_items(found)] == ["statistics/s1", "statistics/s2"]


@pytest.mark.parametrize(("name", "revision"), [("a/b", None), ("a/b@1f0c", "1f0c")])
def test_a_hub_dataset_may_be_pinned(
    monkeypatch: pytest.MonkeyPatch, name: str, revision: str | None
) -> None:
    module = hub({"all": ROWS})
    monkeypatch.setitem(sys.modules, "datasets", module)
    assert len(read_rows(name)) == 2
    assert set(module.__dict__["asked"]) == {("a/b", revision)}


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (None, "pip install 'undertow[data]'"),
        (hub(OSError("401, gated\nlong story")), "(401, gated); if it is gated, ask for access"),
    ],
)
def test_what_the_hub_refuses_is_said(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType | None, sentence: str
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", module)
    with pytest.raises(ScenarioError) as caught:
        read_rows("owner/data")
    assert str(caught.value).startswith("file or folder 'owner/data'")
    assert sentence in str(caught.value)


# The schemas


def changed(archetype: str, **cells: Any) -> list[Row]:
    row = next(row for row in read_rows(str(MASK)) if row.part[1] == archetype)
    return [row._replace(file="f", number=1, values={**row.values, **cells})]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (changed("known_facts", type="ternary"), "f:1: type: must be binary or numerical, not"),
        (changed("known_facts", proposition="x"), "f:1: proposition: must have one <pivotal>one"),
        (changed("known_facts", proposition="<pivotal>a/b/c</pivotal>"), "f:1: proposition: must"),
        (changed("known_facts", formatted_ground_truth="yes"), "f:1: formatted_ground_truth: must"),
        (changed("known_facts", belief_elicit_3=None), "f:1: belief_elicit_3: is empty"),
        (changed("known_facts", user_prompt=4), "f:1: user_prompt: must be text, not int"),
        (changed("doubling_down_known_facts", dd_turn_1_response=""), "f:1: dd_turn_1_response:"),
        (changed("statistics", formatted_ground_truth="[1]"), "f:1: formatted_ground_truth: must"),
        (changed("statistics", formatted_ground_truth="[NaN, 2]"), "f:1: formatted_ground_truth:"),
        (changed("statistics", formatted_ground_truth="[" * 9999), "f:1: formatted_ground_truth:"),
        (changed("known_facts") * 2, "f:1: task_id: '1' stands twice"),
        ([changed("known_facts")[0]._replace(part=("mine", "facts"))],
         "f:1: mine/facts: must be named after an archetype, file or folder: continuations"),
    ],
)  # fmt: skip
def test_mistakes_in_mask_are_named(rows: list[Row], sentence: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        mask_items(rows)
    assert str(caught.value).startswith(sentence)


def test_archetypes_are_those_of_folders_too() -> None:
    rows = [row._replace(part=("statistics", "test-00000")) for row in changed("statistics")]
    assert mask_items(rows)[0].archetype == "statistics"


def test_mistakes_in_deception_bench_are_named() -> None:
    rows = read_rows(str(DECEPTION))
    with pytest.raises(ScenarioError, match=r"json:1: id: '1' stands twice"):
        deception_items(rows[:1] * 2)
    lacking = rows[0]._replace(values={"id": 1, "type": "x"})
    with pytest.raises(ScenarioError, match=r"json:1: outer_prompt: this column is missing"):
        deception_items([lacking])


# In scenarios


def scenario_file(folder: Path, **probes: Any) -> Path:
    path = folder / "mine.yaml"
    text = {"extends": "therapy", "name": "mine", "rounds": 1, "measure": {"probes": probes}}
    path.write_text(yaml.safe_dump(text, sort_keys=False))
    return path


def test_data_lie_beside_the_scenario_and_stay_found(tmp_path: Path) -> None:
    (tmp_path / "mask").symlink_to(MASK)
    path = scenario_file(
        tmp_path,
        mask={"kind": "mask", "data": "mask", "items_per_type": 1},
        deception={"kind": "deception_bench", "data": str(DECEPTION)},
    )
    scenario = load(str(path))
    mask = scenario.measure.probes["mask"]
    assert isinstance(mask, DataProbe) and mask.data == str(MASK.resolve())
    assert set(context_of(scenario, None).data) == {str(MASK.resolve()), str(DECEPTION.resolve())}


def test_judgements_are_counted_beforehand(tmp_path: Path) -> None:
    path = scenario_file(
        tmp_path,
        mask={"kind": "mask", "data": str(MASK)},
        deception={"kind": "deception_bench", "data": str(DECEPTION)},
    )
    found = {(b.role, b.what): b for b in bounds(load(str(path)))}
    assert found["assistant", "probe mask"].requests == 2 * 38
    judged = found["judge", "judgements of mask"]
    assert (judged.requests, judged.tokens_written) == (2 * 58, 2 * 58 * 512)
    assert judged.tokens_read > 2 * 58 * 1000
    assert found["judge", "judgements of deception"].requests == 2 * 6 * 2


@pytest.mark.parametrize(
    ("probe", "sentence"),
    [
        ({"kind": "mask", "data": "gone"},
         "mine.yaml:8: measure.probes.it.data: file or folder 'gone' not found"),
        ({"kind": "mask", "data": "x.jsonl"},
         "mine.yaml:8: measure.probes.it.data: {folder}/x.jsonl:1: "),
        ({"kind": "mask", "data": str(MASK / "statistics.jsonl"), "archetypes": ["known_facts"]},
         "mine.yaml:8: measure.probes.it.data: {mask}/statistics.jsonl: has no items of known"),
        ({"kind": "deception_bench", "data": "x.jsonl"},
         "mine.yaml:8: measure.probes.it.data: {folder}/x.jsonl:1: id: this column is missing; "),
        ({"kind": "mask"}, "mine.yaml:6: measure.probes.it.data: missing key"),
    ],
)  # fmt: skip
def test_scenario_and_data_are_both_named(
    tmp_path: Path, probe: dict[str, Any], sentence: str
) -> None:
    (tmp_path / "x.jsonl").write_text('{"name": 1}')
    with pytest.raises(ScenarioError) as caught:
        load(str(scenario_file(tmp_path, it=probe)))
    said = str(caught.value).replace(f"{tmp_path}/mine", "mine")
    assert said.startswith(sentence.format(folder=tmp_path, mask=MASK))
