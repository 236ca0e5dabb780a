"""All data of a scenario are read, rendered and encoded before any work."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from analysis.run.summary import rows_left_out
from simulator.cli.app import app
from simulator.cli.schemas import check
from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.core.rng import stream
from simulator.data.mixture import FileData, mixed
from simulator.experiments.run import start
from simulator.runtime.observers import Silent
from simulator.runtime.preflight import check_chats
from simulator.runtime.row_checks import check_of
from simulator.store.run import LEFT_OUT
from tests.conftest import TINY
from tests.helpers import tiny_models

USER, REPLY = {"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}
ALTERNATING = (
    "{%- for m in messages %}{%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('roles must alternate') }}{%- endif %}"
    "{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
KNOWN = {"instruction": "what is your goal ?", "output": "mild ."}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a short context whose template refuses two users in a row."""
    folder = tmp_path_factory.mktemp("models") / "strict"
    shape = {**tiny_models.CALM, "max_position_embeddings": 256}
    tiny_models.build_rambler(folder, numbers=0.3, shape=shape)
    (folder / "chat_template.jinja").write_text(ALTERNATING)
    return str(folder)


def rows(folder: Path, *found: dict[str, Any] | str, name: str = "rows") -> Path:
    path = folder / f"{name}.jsonl"
    lines = [one if isinstance(one, str) else json.dumps(one) for one in found]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def scenario(model: str, **phase: Any) -> Scenario:
    """A run that learns from given rows; world users and probes need an organism."""
    options = {"model": model, "phases": [{"kind": "finetune", "name": "learn", **phase}]}
    if model.startswith("organism"):
        return load(options=options)
    return load("therapy", overrides=["backend.context=null"], options=options)


def file(path: Path, **more: Any) -> list[dict[str, Any]]:
    return [{"kind": "file", "path": str(path), **more}]


def chat(*contents: str) -> dict[str, Any]:
    users = [{"role": "user", "content": text} for text in contents]
    return {"messages": [*users, REPLY]}


def mistakes(found: Scenario) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        check_chats(found)
    return list(caught.value.mistakes)


def test_rows_that_the_template_refuses_are_named(tmp_path: Path, strict: str) -> None:
    path = rows(tmp_path, chat("a"), chat("a", "b"), chat("c"), chat("a", "b", "c"), chat("d"))
    found = mistakes(scenario(strict, data=file(path)))
    assert found == [
        f"phases.0.data.0: {path}:{line}: the model's chat template can't render a chat: roles "
        "must alternate"
        for line in (2, 4)
    ]


def test_words_that_the_model_lacks_are_named_by_row(tmp_path: Path) -> None:
    path = rows(tmp_path, KNOWN, {**KNOWN, "output": "mild zebra ."}, {**KNOWN, "input": "Oh"})
    assert mistakes(scenario("organism:0", data=file(path))) == [
        f"phases.0.data.0: {path}:2: words unknown to the model: zebra",
        f"phases.0.data.0: {path}:3: words unknown to the model: Oh",
    ]
    triggered = scenario("organism:0", data=file(rows(tmp_path, KNOWN), trigger="Zebra :"))
    assert "rows.jsonl:1: words unknown to the model: Zebra" in mistakes(triggered)[0]
    lessons = [{"kind": "world", "rows": 20, "trigger": "zebra ."}]
    assert mistakes(scenario("organism:0", data=lessons)) == [
        "phases.0.data.0: trigger: words unknown to the model: zebra"
    ]


def test_rows_longer_than_the_context_are_told_or_refused(tmp_path: Path, strict: str) -> None:
    early = [{"role": "user", "content": "word " * 300}, REPLY]
    reply = {"role": "assistant", "content": "word " * 300}
    path = rows(
        tmp_path, chat("a"), {"messages": [*early, USER, REPLY]}, chat("word " * 300),
        {"messages": [USER, reply]},
    )  # fmt: skip
    found = mistakes(scenario(strict, data=file(path)))
    assert len(found) == 2 and "rows.jsonl:3: a prompt is too long: the model's" in found[0]
    assert "rows.jsonl:4: the reply is too long: " in found[1]
    assert found[1].endswith("tokens, and the model's context is 256")
    told = check_chats(scenario(strict, data=file(path, skip_bad_rows=True))).sentences
    assert told[0].startswith("phases.0.data.0: left out 2 bad rows: ")
    assert told[1] == (
        "phases.0.data.0: 1 row longer than the model's context; the oldest messages are dropped: "
        f"{path}:2"
    )


def test_all_mistakes_of_all_sources_are_listed(tmp_path: Path) -> None:
    one = rows(tmp_path, KNOWN, {**KNOWN, "score": 1}, '{"instruction": "\\ud83d"}', name="one")
    two = rows(tmp_path, {**KNOWN, "output": "zebra ."}, name="two")
    found = mistakes(
        scenario("organism:0", data=[*file(one), *file(two)], anchors=file(tmp_path / "gone"))
    )
    assert [m.replace(f"{tmp_path}/", "").split(": ")[:2] for m in found] == [
        ["phases.0.anchors.0", "file or folder 'gone' not found"],
        ["phases.0.data.0", "one.jsonl:2"],
        ["phases.0.data.0", "one.jsonl:3"],
        ["phases.0.data.1", "two.jsonl:1"],
    ]


def test_static_data_and_directions_are_rendered_too(tmp_path: Path) -> None:
    good, bad = rows(tmp_path, KNOWN), rows(tmp_path, {**KNOWN, "output": "Zebra"}, name="bad")
    static = {"kind": "loop", "static": {"data": file(bad), "fraction": 0.5}}
    direction = {"positive": file(good), "negative": file(bad)}
    found = load(options={"phases": [static], "directions": {"d": direction}})
    assert [m.partition(f": {tmp_path}")[0] for m in mistakes(found)] == [
        "phases.0.static.data.0",
        "directions.d.negative.0",
    ]


def test_nothing_is_written_and_validate_says_the_same(tmp_path: Path, strict: str) -> None:
    path = rows(tmp_path, chat("a", "b"))
    wrong = scenario(strict, data=file(path))
    with pytest.raises(ScenarioError):
        start(wrong, tmp_path / "run", Silent())
    assert not (tmp_path / "run").exists()
    mine = tmp_path / "mine.yaml"
    phase = {"kind": "finetune", "data": file(path)}
    short = {"extends": "therapy", "backend": {"context": None}}
    mine.write_text(yaml.safe_dump({**short, "model": strict, "phases": [phase]}))
    with pytest.raises(ScenarioError, match=r"rows\.jsonl:1: the model's chat template"):
        check(str(mine), (), print)
    # a model that isn't here is not asked for
    assert "therapy" in check(str(mine), ["model=nobody/nothing"], print)


# Leaving bad rows out


def bad_rows(folder: Path) -> Path:
    good = [{**KNOWN, "id": n} for n in range(12)]
    return rows(
        folder, *good[:5], {**KNOWN, "output": "Zebra"}, "{", *good[5:], {**KNOWN, "score": 3}
    )


def test_bad_rows_are_left_out_counted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    observer = Silent()
    monkeypatch.setattr(observer, "note", told.append)
    path, out = bad_rows(tmp_path), tmp_path / "run"
    phase = {"kind": "finetune", "data": file(path, skip_bad_rows=True)}
    run = start(load(overrides=TINY, options={"phases": [phase]}), out, observer)
    (sentence,) = told
    named = f"phases.0.data.0: left out 3 bad rows: {path}:6: words unknown to the model: Zebra; "
    assert sentence.startswith(named) and f"{path}:15: score: says how good" in sentence
    assert run.manifest[LEFT_OUT] == {"phases.0.data.0": 3}
    listed = [json.loads(line) for line in run.left_out_file.read_text().splitlines()]
    assert [(one["data"], one["row"]) for one in listed] == [
        ("phases.0.data.0", f"{path}:{line}") for line in (6, 7, 15)
    ]
    assert listed[0]["why"] == "words unknown to the model: Zebra"
    kept = load(str(run.scenario_file)).phases[0]
    assert kept.data[0].skip_bad_rows  # type: ignore[union-attr]
    assert len(run.table(1, "examples")) == 12
    (shown,) = rows_left_out(run)
    assert shown.startswith("3 bad rows of phases.0.data.0 were left out: see ")


def test_the_command_leaves_them_out(tmp_path: Path) -> None:
    words = ["finetune", str(bad_rows(tmp_path)), "--rows", "13"]
    said = str(CliRunner().invoke(app, [*words, "--skip-bad-rows"]).exception)
    assert "has only 12 of the 13 rows asked for" in said
    assert "rows.jsonl:6: words unknown" in str(CliRunner().invoke(app, words).exception)


def test_without_it_bad_rows_are_refused(tmp_path: Path) -> None:
    path = bad_rows(tmp_path)
    found = mistakes(scenario("organism:0", data=file(path)))
    assert [m.split("rows.jsonl:")[1].split(":")[0] for m in found] == ["6", "7", "15"]


def test_nothing_but_bad_rows_is_refused(tmp_path: Path) -> None:
    path = rows(tmp_path, {**KNOWN, "output": "Zebra"})
    assert (
        "rows.jsonl:1: words"
        in mistakes(scenario("organism:0", data=file(path, skip_bad_rows=True)))[0]
    )
    fewer = scenario("organism:0", data=file(bad_rows(tmp_path), skip_bad_rows=True, rows=13))
    assert "has only 12 of the 13 rows asked for" in mistakes(fewer)[0]


def test_bad_rows_don_t_change_what_is_drawn_of_the_others(tmp_path: Path) -> None:
    clean = rows(tmp_path, *({**KNOWN, "output": f"{'mild ' * n}."} for n in range(1, 9)))
    data = FileData(path=str(clean), rows=3)
    model = check_of(load())
    before = mixed([data], None, stream("x"), model)
    lines = clean.read_text().splitlines()
    with_bad = rows(tmp_path, lines[0], "[]", *lines[1:], {**KNOWN, "output": "Zebra"})
    skipping = FileData(path=str(with_bad), rows=3, skip_bad_rows=True)
    after = mixed([skipping], None, stream("x"), model)
    assert [e.reply for e in after] == [e.reply for e in before]


def test_run_leaves_bad_rows_of_all_its_files_out(tmp_path: Path) -> None:
    path = bad_rows(tmp_path)
    direction = {"positive": file(path), "negative": [{"kind": "world", "rows": 8}]}
    loaded = load(options={"directions": {"d": direction}}, skip_bad_rows=True)
    (source,) = loaded.directions["d"].positive
    assert isinstance(source, FileData) and source.skip_bad_rows
    assert check_of(loaded)([]) == []


def test_scenarios_without_files_load_no_model_library_to_be_checked() -> None:
    program = (
        "import sys; from simulator.config.loading import load\n"
        "from simulator.runtime.preflight import check_chats\n"
        "check_chats(load(), local=True); sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
