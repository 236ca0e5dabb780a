"""A small run whose replies are screened, with projection, steering, ablation and transfer."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.export import run_json
from analysis.run import frames
from analysis.run.plots import drift_figure
from analysis.run.report import write_report
from analysis.sweep.frames import outcomes_at
from simulator.cli.app import app
from simulator.config.loading import load
from simulator.core.errors import BackendError
from simulator.evaluation.rescore import rescore
from simulator.experiments.run import start
from simulator.runtime.observers import Silent
from simulator.store.run import Run
from tests.conftest import TINY

SPOKEN = "{kind: world, rows: 40, asked: [pressured], speaker: %s}"
DIRECTION = f"{{positive: [{SPOKEN % 'sycophant'}], negative: [{SPOKEN % 'honest'}]}}"
OVERRIDES = [
    *TINY,
    "rounds=1",
    f"directions.pleasing={DIRECTION}",
    "screening={direction: pleasing, drop: 0.25}",
    "measure.probes.projection={kind: projection, direction: pleasing, items_per_set: 6}",
]
PROBED = ["direction=pleasing", "steer=[2.0]", "randoms=1", "items_per_set=3"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("runs") / "screened"
    return start(load(overrides=OVERRIDES, biased_frac=0.5), path, Silent())


def test_screened_replies_are_not_learned_from(run: Run) -> None:
    looked_at, selection = run.table(1, "screening"), run.table(1, "selection")
    dropped = looked_at["dropped"].sum()
    assert dropped == round(0.25 * len(looked_at)) > 0
    assert selection["reason"].str.startswith("screened:").sum() == dropped
    assert len(run.table(1, "examples")) == len(looked_at) - dropped
    kept = looked_at.loc[~looked_at["dropped"], "projection"]
    assert looked_at.loc[looked_at["dropped"], "projection"].min() >= kept.max()
    found = run.summary(1)["screening"]
    assert (found["replies"], found["dropped"]) == (len(looked_at), dropped)
    assert found["precision"]["low"] <= found["precision"]["value"] <= found["precision"]["high"]


def test_projections_begin_at_nothing(run: Run) -> None:
    rows = frames.estimates(run).query("metric == 'projection'").set_index(["round", "item_set"])
    assert rows["value"].to_dict()[0, ""] == rows["value"].to_dict()[0, "ood"] == 0
    assert rows["value"].to_dict()[1, ""] != 0


def test_a_finished_run_is_probed_along_its_directions(run: Run) -> None:
    checkpoint = run.folder(1) / "checkpoint"
    rescore(run.path, ["directions"], [*PROBED, f"transfer={{own: {checkpoint}}}"])
    (folder,) = (run.path / "probes").iterdir()
    first, then = (run.extra_table(folder, number) for number in (0, 1))
    assert first is not None and then is not None
    conditions = {name for name in then["measure"] if " " not in name}
    assert conditions == {
        "base", "unchanged", "steered_+2", "ablated", "steered_+2_random", "ablated_random",
        "steered_+2_of_own", "transferred_own",
    }  # fmt: skip
    at_base = first.set_index("measure")["reply"]
    assert at_base["base"].tolist() == at_base["unchanged"].tolist()  # no adapter yet
    again = then.set_index("measure")["reply"]
    assert again["base"].tolist() == at_base["base"].tolist()
    steered = ["steered_+2", "steered_+2_random"]
    for name in steered:  # the base is steered, so nothing of it depends on the round
        assert again[name].tolist() == at_base[name].tolist()


def test_an_adapter_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="other can't be read"):
        rescore(run.path, ["directions"], [*PROBED, f"transfer={{other: {tmp_path / 'none'}}}"])


def test_the_report_says_what_screening_left_out(run: Run, tmp_path: Path) -> None:
    write_report(run, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "What screening left out" in page
    shares = frames.screening(run).set_index("share")
    dropped = run.table(1, "screening").query("dropped")
    precision = dropped["biased"].mean()
    assert shares["value"].to_dict()["precision"] == precision
    assert f"{100 * precision:.0f} % [" in page
    biased = run.table(1, "screening")["biased"].sum()
    assert run_json(run, 0.0)["rounds"][1]["screening"]["recall"]["n"] == biased


def test_what_screening_finds_is_an_outcome(run: Run, tiny_run: Run) -> None:
    found = {metric: value for metric, _, value in outcomes_at(run, 1)}
    looked_at = run.table(1, "screening")
    assert found["screening_precision"] == looked_at.query("dropped")["biased"].mean()
    assert found["screening_base_rate"] == looked_at["biased"].mean()
    assert found["screening_recall"] == looked_at.query("biased")["dropped"].mean()
    others = (*outcomes_at(run, 0), *outcomes_at(tiny_run, 1))
    assert not [metric for metric, *_ in others if metric.startswith("screening_")]


def test_show_says_what_screening_left_out(run: Run, tiny_run: Run) -> None:
    said = CliRunner().invoke(app, ["show", str(run.path)]).output
    (line,) = (line for line in said.splitlines() if line.strip().startswith("1 "))
    found, share = run.summary(1)["screening"], r"(–|\d+ % \[\d+–\d+\])"
    counts = rf"1 +{found['replies']} +{found['dropped']}"
    assert re.fullmatch(rf"{counts} +{share} +{share} +{share}", line.strip())
    assert f"{100 * found['precision']['value']:.0f} % [" in line
    assert "screened" not in CliRunner().invoke(app, ["show", str(tiny_run.path)]).output


def test_json_says_what_was_learned_from(run: Run) -> None:
    before, after = run_json(run, 0.0)["rounds"]
    assert after["taught_lengths"]["desirable"]["n"] == len(run.table(1, "examples"))
    assert after["speech"] == run.summary(1)["speech"]
    assert after["speech"]["asked"] > 0
    assert before["speech"] is before["screening"] is None


def test_the_projection_is_drawn(run: Run, tiny_run: Run) -> None:
    drawn = {axes.get_title(loc="left") or axes.get_title() for axes in drift_figure(run).axes}
    others = {a.get_title(loc="left") or a.get_title() for a in drift_figure(tiny_run).axes}
    assert drawn - others == {"Has it moved along 'pleasing'?", ""}  # its right axis has no title


def test_a_run_without_screening_says_nothing_of_it(tiny_run: Run, tmp_path: Path) -> None:
    write_report(tiny_run, tmp_path / "report.html")
    assert "What screening left out" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert frames.screening(tiny_run).empty
