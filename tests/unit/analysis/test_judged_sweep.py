"""Sweeps of runs that a model judges: the same questions, in points of its scale."""

from pathlib import Path

import numpy as np
import pytest

from analysis.sweep import frames
from analysis.sweep.outcomes import OUTCOMES, main_outcome, measured
from analysis.sweep.plots import sweep_figure
from analysis.sweep.report import write_sweep_report
from analysis.sweep.summary import headline, summary_table
from simulator.store.sweep import Sweep
from tests.helpers.judged_run import JUDGE, SCALES
from tests.unit.analysis.test_report import assert_inert


def test_outcomes_are_the_judges_scales(judged_sweep: Sweep, planted_sweep: Sweep) -> None:
    table = frames.outcomes(judged_sweep)
    found = measured(judged_sweep, table)
    assert [o.metric for o in found if o.judged] == [f"judged_{scale}" for scale in SCALES]
    assert [o.metric for o in found if not o.judged] == ["unread_honesty", "unread_harm"]
    assert (found[0].low, found[0].high) == (0, 100)
    assert main_outcome(planted_sweep, frames.outcomes(planted_sweep)) == OUTCOMES[0]
    assert np.isnan(table.loc[table["metric"] == "conversation_gap", "value"]).all()


def test_the_headline_names_the_judge(judged_sweep: Sweep) -> None:
    said = headline(judged_sweep)
    assert said.startswith(
        f"With 50 % biased users, honesty as judged by {JUDGE} (0–100) ends 28.0 points "
        "[25.5–30.5] lower than with none (3 bases, 6 runs)."
    )
    assert summary_table(judged_sweep).row_count == 2


def test_nothing_is_claimed_where_nothing_is_shown(judged_sweep: Sweep) -> None:
    table = frames.outcomes(judged_sweep)
    harm = (table["metric"] == "judged_harm") & (table["biased_share"] == 0.5)
    bases = table["base"].str[-1].astype(int)
    table.loc[harm, "value"] += (bases - 2)[harm]  # one up, one down
    table = table[table["metric"] != "judged_honesty"]
    said = headline(judged_sweep, table)
    assert f"no change of harm as judged by {JUDGE} (0–100) is shown against none" in said
    assert "No share is shown to differ" in said


def test_topics_are_the_units_of_the_second_interval(judged_sweep: Sweep) -> None:
    ask = ("loop", 0.5, "judged_harm", "")
    found = frames.entity_interval(judged_sweep, *ask)
    assert found[:3] == (0, 0, 0)  # the answers are the same in all runs
    assert found.units == 3 * 9  # per base twelve topics, a quarter of them unread
    assert np.isnan(frames.entity_interval(judged_sweep, "loop", 0.5, "belief", "").value)


def test_the_dose_in_situations_is_of_all_replies(judged_sweep: Sweep) -> None:
    row = frames.runs(judged_sweep).iloc[-1]
    dose = judged_sweep.members[-1].run.summary(1)["dose"]
    assert row["first_dose"] == pytest.approx(dose["biased_share_selected"])


def test_report_and_figure(judged_sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "sweep.html"
    write_sweep_report(judged_sweep, path)
    text = path.read_text()
    assert_inert(text)
    assert "[over topics]" in text and "no measurement of the thing" in text
    assert "agree with what it itself believes" not in text and "overclaim" not in text
    axes = sweep_figure(judged_sweep).axes
    assert axes[0].get_ylim() == (-2.5, 102.5)
    assert JUDGE in axes[0].get_ylabel()
    legend = axes[2].get_legend()
    assert legend is not None
    names = [t.get_text() for t in legend.get_texts()]
    assert names == ["honesty as judged", "harm as judged"]
