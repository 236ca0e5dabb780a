"""What a dry run says of a real architecture: time by measured speed, memory as it is held."""

import re
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from typer.testing import CliRunner

from simulator.cli.app import app
from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.experiments.dry_run import dry_run_table
from simulator.experiments.held import held
from simulator.experiments.speed import Speed
from simulator.experiments.time_table import time_table
from simulator.models.memory import GIB, ModelSize
from simulator.runtime.plan import Plan, Work
from simulator.runtime.probe_context import context_of
from tests.helpers import tiny_models

HERE: dict[str, Any] = {"backend": {"kind": "transformers", "threads": 1, "context": 512}}
SMOL = ModelSize(134_515_008, 538_060_032, 46_080, 23_040, 1_700_000, 130_000, 590_000)


SHORT = (
    "--set",
    "population.users=8",
    "--set",
    "backend.context=512",
    "--set",
    "backend.threads=1",
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_models.build("qwen2", tmp_path_factory.mktemp("tiny"))


def cells(table: Table) -> dict[str, list[str]]:
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return {row[0]: list(row[1:]) for row in zip(*columns, strict=True)}


def therapy(model: str, *overrides: str, **options: Any) -> Scenario:
    return load("therapy", overrides=overrides, options={"model": model, **HERE, **options})


@pytest.mark.parametrize("kind", ["sft", "kto", "dpo"])
def test_a_few_seconds_of_work_tell_the_time(tiny: str, kind: str) -> None:
    selection = {"selection": {"kind": "best_worst"}} if kind == "dpo" else {}
    scenario = therapy(
        tiny, "rounds=3", "population.users=60", "conversations.candidates=2",
        learner={"kind": kind}, **selection,
    )  # fmt: skip
    table = time_table(scenario)
    assert isinstance(table, Table)
    found = cells(table)
    assert list(found) == ["probes", "conversations", "updates", "all, start-up aside"]
    assert [found[what][0] for what in list(found)[:3]] == ["4", "3", "3"]
    assert found["probes"][5] and re.fullmatch(r"[\d.]+ (s|min|h)", found["all, start-up aside"][5])
    said = " ".join(str(table.caption).split())
    assert re.search(r"Measured in \d+ s: 8 of the run's prompts at [\d,]+ tokens/s", said)
    assert "an update at" in said and "in conversations 256 tokens" in said


def test_work_takes_its_tokens_by_their_speeds() -> None:
    speed = Speed(reading=100, writing=10, learning=20, framing=30, seconds=1)
    work = Work(2, read=940, written=50, prompts=2)
    assert speed.seconds_for(work) == (940 + 60) / 100 + 50 / 10
    assert speed.seconds_for(Work(2, learned=60)) == (60 + 60) / 20
    assert Speed(100, 10, None, 0, 1).seconds_for(Work(1, read=100)) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": {"kind": "vllm", "url": "http://127.0.0.1:1"}}, "server or endpoint"),
        ({"model": "nobody/nothing"}, "isn't on this machine yet"),
    ],
)
def test_where_no_time_is_told_it_is_said_why(
    tiny: str, options: dict[str, Any], said: str
) -> None:
    found = time_table(therapy(**{"model": tiny, **options}))
    assert isinstance(found, str) and said in found


def test_an_organisms_trial_tells_its_time() -> None:
    assert time_table(load("quickstart")) == ""


def memory(scenario: Scenario) -> int:
    found = held(Plan(scenario, context_of(scenario, scenario.world)), SMOL, SMOL)
    return found.cache + found.working


def test_batches_are_held_one_at_a_time(tiny: str) -> None:
    """800 users with one reply each don't hold the whole context of a model for each."""
    assert memory(therapy(tiny)) < 32 * GIB
    small = [memory(therapy(tiny, backend={**HERE["backend"], "batch_size": n})) for n in (8, 16)]
    assert small[0] < small[1] < 2 * GIB
    assert memory(therapy(tiny, "population.users=100000")) == pytest.approx(
        memory(therapy(tiny)), rel=0.5
    )


def test_a_short_batch_of_an_update_holds_less(tiny: str) -> None:
    def few(**learner: Any) -> int:
        found = therapy(tiny, learner={"gradient_checkpointing": False, **learner})
        return held(Plan(found, context_of(found, found.world)), SMOL, SMOL).learning

    assert few(micro_batch=1) * 4 == pytest.approx(few(micro_batch=4), abs=8)
    assert few(micro_batch=4, gradient_checkpointing=True) < few(micro_batch=4)
    assert few(batch_size=16, micro_batch=None) == few(batch_size=4, micro_batch=16)


def test_the_parts_of_memory_add_up(tiny: str) -> None:
    amounts = {what: row[-1] for what, row in _assistant(dry_run_table(therapy(tiny))).items()}
    assert amounts["its weights"].endswith("GiB")
    together = float(amounts["all that is held at once, with libraries"].split()[0])
    assert together >= 0.7
    assert any(what.startswith("keys and values at once: ") for what in amounts)


def _assistant(table: Table) -> dict[str, list[str]]:
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return {row[1]: list(row[2:]) for row in zip(*columns, strict=True)}


def test_the_command_prints_both(tiny: str) -> None:
    words = ["run", "--scenario", "therapy", "--model", tiny, "--backend", "transformers"]
    done = CliRunner().invoke(app, [*words, *SHORT, "--dry-run"])
    assert done.exit_code == 0, done.exception
    assert "time on this machine" in done.stdout and "held at" in done.stdout
    assert not list(Path().glob("trial*"))
