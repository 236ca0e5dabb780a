"""Sizes that multiply, and what else would take hours or gigabytes, are refused at once."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from simulator.cli.app import app
from simulator.cli.schemas import check
from simulator.config.document import MOST_VALUES
from simulator.config.loading import load
from simulator.core.errors import ScenarioError
from simulator.experiments.sweep_config import ENOUGH, MOST_RUNS, plan

AT_ONCE = 2.0  # seconds of CPU
JUDGED = "measure.probes.judged={kind: judged, prompts: [%s], samples: 1000, scales: {%s}}"
PROMPT = "{name: p%d, topic: t, text: x}"
SCALE = "s%d: {question: '{{ reply }}'}"


def refused(overrides: Sequence[str]) -> str:
    started = time.process_time()
    with pytest.raises(ScenarioError) as told:
        load("quickstart", overrides=overrides)
    assert time.process_time() - started < AT_ONCE
    return str(told.value)


@pytest.mark.parametrize(
    "overrides, told",
    [
        (["rounds=1000000000"], "less than or equal to 10000"),
        (["population.users=3000000000"], "less than or equal to 100000"),
        (["learner.learning_rate=1.0e+301"], "less than or equal to 1"),
        (
            ["population.users=100000", "conversations.turns=50"],
            "would be 20,000,000 replies a round (100,000 users × 1 conversations × 50 turns × "
            "4 candidates); at most 1,000,000",
        ),
        (
            ["phases=[{kind: loop, name: a}, {kind: loop, name: b}]", "rounds=6000"],
            "phases: would be 12,000 rounds in all; at most 10,000",
        ),
        (
            ["phases=[{kind: finetune, data: [" + "{kind: world, rows: 60000}, " * 2 + "]}]"],
            "would be 120,000 rows of kind 'world' in all; at most 100,000",
        ),
        (
            [
                JUDGED
                % (
                    ", ".join(PROMPT % n for n in range(60)),
                    ", ".join(SCALE % n for n in range(2)),
                )
            ],
            "would be 120,000 judgements a measurement (60 prompts × 1000 samples × 2 scales)",
        ),
        ([f"description={'a' * 100_001}"], "at most 100000 characters"),
        ([".".join(["a"] * 2_000) + "=1"], "too deep; at most 32 levels"),
        (["phases." + "9" * 5_000 + ".rounds=1"], "phases"),
        (["model=organism:²"], "model: unknown base 'organism:²'"),
        (["model=organism:" + "9" * 5_000], "too long for a path"),
        (["model=" + "a" * 300], "model: too long for a path"),
        (["facts={data: " + "a/" * 1_500 + "}"], "facts.data: too long for a path"),
    ],
)  # fmt: skip
def test_what_no_machine_bears_is_refused_at_once(overrides: list[str], told: str) -> None:
    assert told in refused(overrides)


def test_a_size_at_its_bound_is_valid() -> None:
    found = load("quickstart", overrides=["population.users=100000", "rounds=10000"])
    assert found.population.users == 100_000 and found.last_round == 10_000


def sweep(folder: Path, text: str) -> str:
    file = folder / "sweep.yaml"
    file.write_text(text)
    started = time.process_time()
    with pytest.raises(ScenarioError) as told:
        check(str(file), [], lambda said: None)
    assert time.process_time() - started < AT_ONCE
    assert all(one.startswith(str(file)) for one in told.value.mistakes)
    return str(told.value)


def test_the_runs_of_a_sweep_are_counted_before_any_is_made(tmp_path: Path) -> None:
    seeds, shares = list(range(2_000)), [n / 2_000 for n in range(1_999)]
    axes = f"over: {{seed: {seeds}, biased_frac: {shares}}}"
    told = sweep(tmp_path, f"name: x\n{axes}\narms: {{a: {{}}}}\n")
    assert told.endswith(f":2: over: would be 3,998,000 runs in all; at most {MOST_RUNS:,}")


@pytest.mark.parametrize("value", ["[1]", "{a: 1}", "true", "null", "'a\n\n b'", ".nan"])
@pytest.mark.parametrize("axis", ["biased_frac", "seed", "base", "rounds"])
def test_an_axis_with_values_of_another_type_is_refused(
    axis: str, value: str, tmp_path: Path
) -> None:
    text = f"name: x\nover:\n  {axis}: [{value}]\narms: {{a: {{}}}}\n"
    if (axis, value) == ("biased_frac", "null"):
        assert check_valid(tmp_path, text)  # as without the axis
    else:
        assert "\n" not in sweep(tmp_path, text)


def check_valid(folder: Path, text: str) -> str:
    (folder / "sweep.yaml").write_text(text)
    return check(str(folder / "sweep.yaml"), [], lambda said: None)


def test_a_file_with_too_many_values_is_refused_while_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "long.yaml"
    file.write_text(f"extends: quickstart\nseed: [{'1, ' * MOST_VALUES}]\n")
    with pytest.raises(ScenarioError, match=f":2: too large; at most {MOST_VALUES:,} keys"):
        check(str(file), [], lambda said: None)


def test_thousands_of_unknown_keys_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text("extends: quickstart\n" + "\n".join(f"k{n}: 1" for n in range(3_000)))
    started = time.process_time()
    with pytest.raises(ScenarioError, match="3000 mistakes"):
        check(str(file), [], lambda said: None)
    assert time.process_time() - started < AT_ONCE


def test_a_stray_kind_is_an_unknown_key(tmp_path: Path) -> None:
    file = tmp_path / "stray.yaml"
    file.write_text("extends: quickstart\nkind: loop\npopulation:\n  kind: x\n")
    with pytest.raises(ScenarioError) as told:
        check(str(file), [], lambda said: None)
    expected = (f"{file}:2: kind: unknown key", f"{file}:4: population.kind: unknown key")
    assert told.value.mistakes == expected


@pytest.mark.parametrize("content", [b"name: a\0b\n", b"name: a\xffb\n"])
@pytest.mark.parametrize("reached_by", ["itself", "extends", "sweep", "situations"])
def test_bytes_that_are_no_text_are_named_with_file_and_line(
    content: bytes, reached_by: str, tmp_path: Path
) -> None:
    bad, file = tmp_path / "bad.yaml", tmp_path / "file.yaml"
    bad.write_bytes(b"# a comment\n" + content)
    file.write_text(
        {
            "itself": "",
            "extends": "extends: bad.yaml\n",
            "sweep": f"name: x\nscenario: {bad}\narms: {{a: {{}}}}\n",
            "situations": "extends: quickstart\nsituations: bad.yaml\n",
        }[reached_by]
    )
    asked = bad if reached_by == "itself" else file
    with pytest.raises(ScenarioError, match=f"{bad}:2: has "):
        check(str(asked), [], lambda said: None)


@pytest.mark.parametrize("command", [["validate"], ["run", "--dry-run", "--scenario"]])
def test_mistakes_in_a_phases_data_name_the_scenarios_file(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"x": 1}\n')
    file = tmp_path / "mine.yaml"
    file.write_text(
        "extends: quickstart\nphases:\n  - kind: finetune\n    data:\n"
        "      - {kind: file, path: rows.jsonl}\n"
    )
    result = CliRunner().invoke(app, [*command, str(file)])
    assert isinstance(result.exception, ScenarioError)
    assert str(result.exception).startswith(
        f"{file}:5: phases.0.data.0: {tmp_path / 'rows.jsonl'}:1"
    )


@pytest.mark.parametrize("command", ["show", "report", "verify", "resume", "chat"])
def test_a_path_that_no_file_system_takes_is_refused(command: str) -> None:
    result = CliRunner().invoke(app, [command, "a" * 300])
    assert isinstance(result.exception, ScenarioError)
    assert "too long for a path" in str(result.exception)


def test_a_sweep_is_checked_no_further_once_fifty_runs_are_wrong(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    seeds = [f"none{number}" for number in range(MOST_RUNS)]  # a mistake each
    file.write_text(yaml.safe_dump({"name": "wrong", "over": {"seed": seeds}, "arms": {"a": {}}}))
    with pytest.raises(ScenarioError) as caught:
        plan(file)
    assert len(caught.value.mistakes) == ENOUGH
