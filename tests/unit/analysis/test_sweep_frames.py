"""Tables, figure and report of a sweep whose answer is planted."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.sweep import frames
from analysis.sweep.beside import beside_figure
from analysis.sweep.plots import footnote, save_sweep_panels, sweep_figure
from analysis.sweep.report import write_sweep_report
from analysis.sweep.summary import headline, summary_table
from simulator.cli.app import app
from simulator.core.errors import StoreError
from simulator.store.run import Run
from simulator.store.sweep import Member, Sweep
from tests.conftest import BASES, PLANTED
from tests.helpers.planting import commit_again
from tests.unit.analysis.test_report import assert_inert


def test_every_run_has_its_row(planted_sweep: Sweep) -> None:
    runs = frames.runs(planted_sweep)
    assert len(runs) == 30
    row = runs.iloc[-1]
    assert (row["condition"], row["base"], row["seed"]) == ("matched", "organism:3", 1)
    assert (row["biased_share"], row["dose"], row["learned"] > 0) == (0.5, 0.0, True)
    table = frames.outcomes(planted_sweep)
    assert {
        "honesty",
        "overclaim",
        "conversation_gap",
        "trust_benign",
        "satisfaction_biased",
    } <= set(table["metric"])
    gap = table[(table["metric"] == "overclaim") & (table["run"] == row["run"])]["value"].item()
    own = table[table["run"] == row["run"]].set_index(["metric", "item_set"])["value"]
    assert gap == pytest.approx(own["self_honesty", ""] / 9 - own["honesty", "heldout"])
    assert own["trust", ""] == pytest.approx(
        (own["trust_benign", ""] + own["trust_biased", ""]) / 2
    )


def test_comparisons_by_hand(planted_sweep: Sweep) -> None:
    table = frames.outcomes(planted_sweep)
    compared = frames.compare(table, "honesty", "heldout")
    assert [(c.condition, c.biased_share, c.runs) for c in compared] == [
        (arm, share, 6)
        for arm in ("loop", "matched")
        for share in PLANTED
        if (arm, share) != ("matched", 0.0)
    ]
    at = {(c.condition, c.biased_share): c for c in compared}
    expected = [
        -0.6 + 0.01 * ((base + 5) % 3 - base % 3) for base in BASES
    ]  # the wobble of base and seed cancels
    assert at["loop", 0.5].differences == pytest.approx(expected)
    assert at["loop", 0.5].difference.value == pytest.approx(np.mean(expected))
    assert at["loop", 0.5].difference.excludes_zero
    assert not at["matched", 0.5].difference.excludes_zero
    loop = frames.of_condition(compared, "loop")
    assert frames.threshold(loop) == 0.1
    assert frames.threshold(frames.of_condition(compared, "matched")) is None
    falling = frames.trend(table, "loop", "honesty", "heldout")
    assert falling is not None and falling.falls and falling.p < 0.05


def test_the_dose_explains_what_the_share_does_not(planted_sweep: Sweep) -> None:
    table = frames.outcomes(planted_sweep)
    explained = frames.dose_explains(table, "honesty", "heldout")
    found = explained.set_index("predictor")["value"]
    assert found["dose"] > 0.95 > 0.7 > found["biased_share"]


def test_entities_are_the_units_of_the_second_interval(planted_sweep: Sweep) -> None:
    same = frames.entity_interval(planted_sweep, "loop", 0.5, "honesty", "heldout")
    assert same[:3] == (0, 0, 0)  # all runs are copies of one, whose answers weren't rewritten
    assert same.units == len(BASES) * 2  # 6 items of held-out entities, three each
    nowhere = frames.entity_interval(planted_sweep, "nowhere", 0.5, "honesty", "heldout")
    assert np.isnan(nowhere.value)


def test_the_headline_answers_first(planted_sweep: Sweep) -> None:
    said = headline(planted_sweep)
    assert said.startswith("With 10 % biased users, the assistant ends 5 points [1–9]")
    assert (
        "less honest under pressure on held-out entities than with none (3 bases, 6 runs)" in said
    )
    assert said.endswith(
        "The smallest share shown to differ from none is 10 % (tested: 10 %, 50 %)."
    )
    assert summary_table(planted_sweep).row_count == 5


def test_report_and_figure(planted_sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "sweep.html"
    write_sweep_report(planted_sweep, path)
    text = path.read_text()
    assert_inert(text)
    assert headline(planted_sweep).split(" [")[0].replace(" %", "\u00a0%") in text.replace(
        "\u2060", ""
    )
    assert text.count("<svg ") == 4
    assert len(sweep_figure(planted_sweep).axes) == 4


def of_one_base(sweep: Sweep, seeds: tuple[int, ...]) -> list[Member]:
    loop = [m for m in sweep.members if m.settings["base"] == 1 and m.arm == "loop"]
    return [member for member in loop if member.settings["seed"] in seeds]


def test_seeds_of_a_single_base_are_what_intervals_are_over(
    planted_sweep: Sweep, tmp_path: Path
) -> None:
    sweep = Sweep.write(
        planted_sweep.path.parent / "seeds", of_one_base(planted_sweep, seeds=(0, 1))
    )
    table = frames.outcomes(sweep)
    found = frames.compare(table, "honesty", "heldout")
    assert [(c.over, c.level.units, c.difference.units) for c in found] == [("seed", 2, 2)] * 3
    values = table.query("metric == 'honesty' and item_set == 'heldout'")
    low, high = (values[values["biased_share"] == share] for share in (0.0, 0.5))
    assert found[2].difference.value == pytest.approx(high["value"].mean() - low["value"].mean())
    assert "(2 seeds, 2 runs)" in headline(sweep)
    write_sweep_report(sweep, tmp_path / "seeds.html")
    page = (tmp_path / "seeds.html").read_text()
    assert "seeds of one model" in page and "over bases" not in page
    assert "seeds (of one model)" in footnote("seed", judged=False)


def test_unfinished_and_lonely_sweeps(planted_sweep: Sweep, tmp_path: Path) -> None:
    alone = Sweep.write(planted_sweep.path.parent / "alone", [planted_sweep.members[0]])
    assert "nothing is compared" in headline(alone)
    write_sweep_report(alone, tmp_path / "alone.html")
    one_base = of_one_base(planted_sweep, seeds=(0,))
    missing = Member("loop", {"base": 1, "seed": 9, "biased_frac": 0.0}, 2, Run(tmp_path / "none"))
    single = Sweep.write(planted_sweep.path.parent / "single", [*one_base, missing])
    assert "(1 base, 1 run: no interval)" in headline(single)
    write_sweep_report(single, tmp_path / "single.html")
    assert "3 of 4 runs are" in (tmp_path / "single.html").read_text()
    nothing = Sweep.write(tmp_path / "nothing", [missing])
    with pytest.raises(StoreError, match="no run of this sweep is finished"):
        frames.open_sweep(nothing.path)


def test_show_and_report_take_sweeps(planted_sweep: Sweep) -> None:
    shown = CliRunner().invoke(app, ["show", str(planted_sweep.path)])
    assert shown.exit_code == 0 and "smallest share" in shown.output.replace("\n", " ")
    assert CliRunner().invoke(app, ["report", str(planted_sweep.path)]).exit_code == 0
    assert (planted_sweep.path / "sweep.png").stat().st_size > 10_000


def test_conversation_gap(tiny_run: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "targeted")))
    for part in (run.folder(2) / "conversations").iterdir():
        rows = pd.read_parquet(part)
        rows["pressured"], rows["wish"] = True, "fresh"
        rows["reply"] = np.where(rows["biased"], "yes , it is fresh .", "no , it is stale .")
        rows.to_parquet(part)
    commit_again(run)
    member = Member("loop", {}, 2, run)
    table = frames.outcomes(Sweep.write(tmp_path / "one", [member]))
    assert table.set_index("metric").loc["conversation_gap", "value"] == 1.0


def test_every_panel_is_written_alone(planted_sweep: Sweep, tmp_path: Path) -> None:
    written = save_sweep_panels(planted_sweep, tmp_path)
    assert {path.stem for path in written} == {
        "response", "realised_dose", "other_outcomes", "comparisons"
    }  # fmt: skip
    assert {path.suffix for path in written} == {".svg", ".pdf"}
    assert all(path.stat().st_size > 1000 for path in written)


def test_shapes_are_explained_where_they_tell_bases_apart(planted_sweep: Sweep) -> None:
    legend = sweep_figure(planted_sweep).axes[1].get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert words[-3:] == [f"organism:{base}" for base in BASES]


def test_sweeps_side_by_side(planted_sweep: Sweep, tmp_path: Path) -> None:
    """Each has a panel, with its first arm alone."""
    seeds = sorted({member.settings["seed"] for member in planted_sweep.members})
    lone = Sweep(planted_sweep.path, "one", tuple(of_one_base(planted_sweep, tuple(seeds))))
    left, right = beside_figure([planted_sweep, lone]).axes
    assert "over bases" in " ".join(left.get_title("left").split())
    assert "over seeds" in " ".join(right.get_title("left").split())
    loop = frames.of_condition(
        frames.compare(frames.outcomes(planted_sweep), "honesty", "heldout"), "loop"
    )
    expected = np.array([c.level.value for c in loop])
    np.testing.assert_allclose(np.asarray(left.lines[0].get_ydata()), expected)
    out = tmp_path / "page.html"
    path = str(planted_sweep.path)
    told = CliRunner().invoke(app, ["report", path, "--beside", path, "--out", str(out)])
    assert told.output.split() == [str(tmp_path / "page.png")]
    assert (tmp_path / "page.png").stat().st_size > 1000
