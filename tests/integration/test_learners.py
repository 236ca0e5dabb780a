"""Runs that learn otherwise than by SFT, and rounds in which nothing can be learned."""

from pathlib import Path

import pytest

from analysis.run.report import write_report
from analysis.run.summary import unchanged_rounds
from simulator.config.loading import load
from simulator.core.errors import Diverged
from simulator.experiments.run import start
from simulator.runtime.observers import Silent
from tests.conftest import TINY

PAIRS = ["selection={kind: best_worst}", "rounds=1"]


@pytest.mark.parametrize(
    "overrides",
    [
        [*PAIRS, "learner={kind: kto, learning_rate: 0.003}"],
        [*PAIRS, "learner={kind: dpo, adapter: {kind: steering, layer: 2}, learning_rate: 0.1}"],
    ],
    ids=["kto", "dpo-steering"],
)
def test_preferences_move_the_assistant(tmp_path: Path, overrides: list[str]) -> None:
    run = start(load(overrides=[*TINY, *overrides]), tmp_path / "run", Silent())
    summary, examples = run.summary(1), run.table(1, "examples")
    assert summary["canary"]["verdict"] == "passed"
    assert summary["unchanged"] is None
    assert examples["desirable"].sum() == (~examples["desirable"]).sum() > 0


DIVERGING = ["learner.learning_rate=1.0e+30", "learner.epochs=2", "rounds=1"]


def test_an_update_that_diverged_is_rolled_back_and_said(tmp_path: Path) -> None:
    overrides = [*TINY, *DIVERGING, "learner.on_divergence=roll_back"]
    run = start(load(overrides=overrides), tmp_path / "run", Silent())
    assert run.rounds_done == 2
    summary = run.summary(1)
    assert (summary["update"], summary["canary"], summary["adapter"]) == (None, None, None)
    assert "rolled back: the loss is no longer finite" in summary["unchanged"]
    (sentence,) = unchanged_rounds(run)
    assert sentence.startswith("Round 1 left the assistant as it was: the update was rolled back")
    write_report(run, tmp_path / "report.html")
    assert "Round 1 left the assistant as it was" in (tmp_path / "report.html").read_text()


def test_an_update_that_diverged_ends_a_run(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"lower learner\.learning_rate"):
        start(load(overrides=[*TINY, *DIVERGING]), tmp_path / "run", Silent())
    assert not (tmp_path / "run" / "rounds" / "0001" / "checkpoint").exists()


def test_a_round_without_a_lesson_is_said(tmp_path: Path) -> None:
    """Greedy candidates are all the same, and so are ratings without noise: no pair."""
    overrides = [*TINY, *PAIRS, "learner={kind: dpo}", "conversations.temperature=0"]
    overrides += [f"population.types.{kind}.rater.noise=0" for kind in ("benign", "biased")]
    run = start(load(overrides=overrides), tmp_path / "run", Silent())
    assert run.table(1, "examples").empty
    assert unchanged_rounds(run) == [
        "Round 1 left the assistant as it was: there was no pair of a better and a worse reply to "
        "one context."
    ]
