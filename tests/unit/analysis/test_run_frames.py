"""Tables of finished, unfinished and learning-free runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from analysis.run import frames, transcripts
from analysis.run.summary import headline, key_figures, rounds_table, summary_table
from simulator.core.errors import StoreError
from simulator.store.round_files import DONE
from simulator.store.run import SCENARIO, Run
from tests.helpers.planting import commit_again


@pytest.fixture
def copied(tiny_run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(tiny_run.path, tmp_path / "copy")))


def edit_summary(run: Run, number: int, change: Callable[[dict[str, Any]], None]) -> None:
    summary = run.summary(number)
    change(summary)
    (run.folder(number) / "round.json").write_text(json.dumps(summary))
    commit_again(run)


def unmeasure(run: Run, number: int) -> None:
    edit_summary(run, number, lambda summary: summary.update(estimates=[]))
    path = run.folder(number) / "scores.parquet"
    pd.DataFrame(columns=pd.read_parquet(path).columns).to_parquet(path)
    commit_again(run)


def shift_honesty(run: Run, number: int, value: float) -> None:
    def change(summary: dict[str, Any]) -> None:
        for row in summary["estimates"]:
            if row["metric"] == "honesty":
                row.update(value=value, low=value - 0.05, high=value + 0.05)

    edit_summary(run, number, change)


def everything(run: Run) -> list[pd.DataFrame]:
    return [
        frames.estimates(run),
        frames.changes(run),
        frames.dose(run),
        frames.population(run),
        frames.scores(run),
        frames.updates(run),
        transcripts.recycled(run, max(run.rounds_done - 1, 0), 4),
        transcripts.paired(run),
        transcripts.before_after(run, 4),
        transcripts.transitions(run),
        key_figures(run),
    ]


def test_estimates_have_a_row_per_round_metric_and_set(tiny_run: Run) -> None:
    rows = frames.estimates(tiny_run)
    assert not rows.duplicated(["round", "metric", "item_set"]).any()
    assert sorted(rows["round"].unique()) == [0, 1, 2]
    assert (rows["low"] <= rows["value"] + 1e-9).all()
    assert (rows["value"] <= rows["high"] + 1e-9).all()


def test_dose_starts_at_round_1_and_its_shares_are_whole(tiny_run: Run) -> None:
    rows = frames.dose(tiny_run)
    assert rows["round"].tolist() == [1, 2]
    shares = rows[[c for c in rows if str(c).startswith(frames.SHARE)]].sum(axis=1)
    assert shares.tolist() == pytest.approx([1.0, 1.0])
    biased = rows[frames.SHARE + "biased"].to_numpy()
    assert rows["biased_share_selected"].to_numpy() == pytest.approx(biased)


def test_a_share_of_nothing_is_missing(copied: Run) -> None:
    def nothing(summary: dict[str, Any]) -> None:
        summary["dose"].update(pressured_selected=0, biased_share_pressured=None)

    edit_summary(copied, 1, nothing)
    assert frames.dose(copied)["biased_share_pressured"].isna().tolist() == [True, False]


def test_biased_share_counts_heads(tiny_run: Run) -> None:
    assert frames.biased_share(tiny_run) == 0.5


def test_population_and_scores_know_their_round(tiny_run: Run) -> None:
    assert sorted(set(frames.population(tiny_run)["round"])) == [0, 1, 2]
    counts = frames.scores(tiny_run).groupby("round").size()
    assert counts.nunique() == 1 and len(counts) == 3


def test_recycled_replies_are_what_was_learned_from(tiny_run: Run) -> None:
    examples = tiny_run.table(1, "examples")
    rows = transcripts.recycled(tiny_run, 1, 1000)
    key = ["conversation", "turn", "candidate"]
    both = rows.merge(examples, on=key, suffixes=("", "_learned"), validate="one_to_one")
    assert len(both) == len(rows) == len(examples)
    assert both["reply"].equals(both["reply_learned"])
    assert all(context[-1][0] == "user" for context in rows["context"])


def test_recycled_takes_turns_among_types(tiny_run: Run) -> None:
    assert set(transcripts.recycled(tiny_run, 1, 4)["user_type"]) == {"benign", "biased"}
    assert transcripts.recycled(tiny_run, 0, 4).empty
    assert transcripts.recycled(tiny_run, 1, 0).empty


def test_before_after_prefers_changed_labels(copied: Run) -> None:
    path = copied.folder(2) / "scores.parquet"
    scores = pd.read_parquet(path)
    pressured = scores.index[scores["measure"] == "pressured"]
    scores.loc[pressured[7], ["label", "reply"]] = ["other", "something else ."]
    scores.to_parquet(path)
    commit_again(copied)
    first = transcripts.before_after(copied, 6).iloc[0]
    assert first["changed"]
    assert transcripts.before_after(copied, 6).equals(transcripts.before_after(copied, 6))
    assert len(transcripts.before_after(copied, 6)) == 6
    assert transcripts.transitions(copied)["answers"].sum() == len(transcripts.paired(copied))


def test_run_in_progress(copied: Run) -> None:
    (copied.folder(2) / DONE).unlink()
    assert frames.measured_rounds(copied) == [0, 1]
    assert headline(copied).startswith("After 1 of 2 rounds with 50 % biased users")
    (copied.folder(1) / DONE).unlink()
    everything(copied)
    assert headline(copied).startswith("Before any update")
    assert [column.header for column in summary_table(copied).columns] == ["", "round 0", "n"]
    (copied.folder(0) / DONE).unlink()
    assert all(rows.empty for rows in everything(copied))
    assert headline(copied) == "Nothing could be measured yet."
    summary_table(copied)


def test_rounds_without_scores(copied: Run) -> None:
    unmeasure(copied, 1)
    assert frames.measured_rounds(copied) == [0, 2]
    assert set(frames.scores(copied)["round"]) == {0, 2}
    assert set(frames.changes(copied)["round"]) == {2}
    unmeasure(copied, 2)
    everything(copied)
    assert transcripts.paired(copied).empty


def test_learner_none(copied: Run) -> None:
    scenario = yaml.safe_load((copied.path / SCENARIO).read_text())
    scenario["learner"] = {"kind": "none"}
    (copied.path / SCENARIO).write_text(yaml.safe_dump(scenario))
    nothing = dict.fromkeys(("update", "canary", "speech", "adapter"))
    for number in (1, 2):
        shutil.rmtree(copied.folder(number) / "checkpoint")
        edit_summary(copied, number, lambda summary: summary.update(nothing))
    everything(copied)
    rows = frames.updates(copied)
    assert len(rows) == 2
    assert rows.drop(columns="round").isna().all(axis=None)
    assert "no learning" in headline(copied)


def test_headline_claims_a_change_only_where_intervals_are_apart(copied: Run) -> None:
    shift_honesty(copied, 0, 0.7)
    shift_honesty(copied, 2, 0.6)
    assert "no change" in headline(copied)
    shift_honesty(copied, 2, 0.2)
    assert "fell from 70 % [65–75] to 20 % [15–25]." in headline(copied)
    shift_honesty(copied, 2, 0.9)
    assert "rose" in headline(copied)


def test_two_answers_claim_no_change(tiny_run: Run) -> None:
    rows = frames.changes(tiny_run).set_index("metric")
    assert not rows.loc["self_honesty", "separate"]


def test_open_run(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(frames.RUN_VARIABLE, raising=False)
    assert frames.open_run(tiny_run.path).path == tiny_run.path
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="no runs here"):
        frames.open_run()
    shutil.copytree(tiny_run.path, tmp_path / "runs" / "one")
    assert frames.open_run().path == tmp_path / "runs" / "one"
    monkeypatch.setenv(frames.RUN_VARIABLE, str(tiny_run.path))
    assert frames.open_run().path == tiny_run.path


def test_a_change_on_few_answers_is_not_shown_and_n_says_why(tiny_run: Run) -> None:
    table = summary_table(tiny_run)
    rows = list(zip(*(map(str, column.cells) for column in table.columns), strict=True))
    of = {name: (change, int(n)) for name, _, _, change, n in rows}
    assert of["self-rated honesty (0–9)"] == ("not shown", 2)
    assert all(change == "not shown" for change, n in of.values() if n < frames.FEWEST)


def test_every_round_of_a_probe_is_named_and_compared(tiny_run: Run) -> None:
    table = rounds_table(tiny_run, frames.estimates(tiny_run))
    rows = list(zip(*(map(str, column.cells) for column in table.columns), strict=True))
    assert {number for number, *_ in rows} == {"0", "1", "2"}
    assert {change for number, _, _, change, _ in rows if number == "0"} == {""}
    assert "true beliefs" in {name for _, name, *_ in rows}
