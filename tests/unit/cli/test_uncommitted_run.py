"""A run without a committed round: every command on runs says so, before it loads a model."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.cli.app import app
from simulator.config.loading import load
from simulator.core.errors import StoreError
from simulator.evaluation.checkpoints import assistant_after
from simulator.experiments.run import manifest_of
from simulator.store.run import Run


@pytest.fixture
def uncommitted(tmp_path: Path) -> Run:
    scenario = load("quickstart")
    return Run.create(tmp_path / "run", scenario.model_dump(mode="json"), manifest_of(scenario))


@pytest.mark.parametrize(
    "words", [("chat", "--round", "0"), ("chat",), ("probe", "--probes", "neutral")]
)
def test_a_sentence_says_that_no_round_is_committed(
    uncommitted: Run, words: tuple[str, ...]
) -> None:
    command, *options = words
    done = CliRunner().invoke(app, [command, str(uncommitted.path), *options])
    assert isinstance(done.exception, StoreError)
    assert "no round is committed yet" in str(done.exception)
    assert f"'resume {uncommitted.path}'" in str(done.exception)
    assert "-1" not in str(done.exception).replace(str(uncommitted.path), "")


@pytest.mark.parametrize("number", [None, 0, 3])
def test_no_tool_is_served_such_an_assistant(uncommitted: Run, number: int | None) -> None:
    opened = assistant_after(uncommitted.path, number)
    with pytest.raises(StoreError, match="no round is committed yet"), opened:
        pass


def test_show_and_report_have_nothing_to_show(uncommitted: Run) -> None:
    done = CliRunner().invoke(app, ["show", str(uncommitted.path)])
    assert done.exit_code == 0
    assert done.stdout == "No round is committed yet, so there is nothing to show.\n"
    done = CliRunner().invoke(app, ["report", str(uncommitted.path)])
    assert done.exit_code == 0
    page = (uncommitted.path / "report.html").read_text()
    assert "Nothing could be measured yet" in page and not re.search(r"\bnan\b", page)


def test_a_run_with_round_0_alone_names_it(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "rounds_done", 1)
    assert tiny_run.committed(None) == tiny_run.committed(0) == 0
    with pytest.raises(StoreError, match="unknown round 1; the run has only round 0"):
        tiny_run.committed(1)
