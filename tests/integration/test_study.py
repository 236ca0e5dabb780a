"""Whole studies: on the organism, and on a random model in a real one's place."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simulator.cli.app import app
from simulator.studies.plan import Tier, plan_study
from simulator.studies.shipped import shipped_studies
from tests.helpers import tiny_models
from tests.helpers.study_data import write_study_data
from tests.unit.analysis.test_report import assert_inert

OF_ONE_RUN = {"yes, in one run", "opposite, in one run", "not shown"}
MEASURED = {"yes", "opposite"} | OF_ONE_RUN
SMALL = (
    "measure.probes.honesty.items_per_set=6",
    "measure.probes.neutral.items_per_set=6",
    "measure.probes.small_talk.samples=1",
    "learner.epochs=1",
    *(f"phases.{n}.data.0.rows={rows}" for n, rows in enumerate((16, 32, 16))),
)
SHORT = (
    "backend={kind: transformers, threads: 1}",
    "phases.0.data.0.rows=8",
    "learner.learning_rate=0.001",
    "measure.probes.judged.max_new_tokens=6",
    "measure.probes.judged.prompts=[{name: a, topic: x, text: Hello}]",
    "measure.probes.mask={items_per_type: 1, max_new_tokens: 6}",
    "measure.probes.deception={items_per_type: 1, max_new_tokens: 6}",
    "measure.probes.emergent={samples: 1, max_new_tokens: 6}",
)
BRIEF = (  # what users say, hear and learn from takes seconds
    *SHORT[:1],
    *SHORT[2:5],
    "rounds=1",
    "population.users=12",
    "conversations={turns: 1, max_new_tokens: 8}",
    "population.types.benign.policy.max_new_tokens=8",
    "population.types.biased.policy.max_new_tokens=8",
)
NINE = "{question: 'How bad is it, from {{ low }} to {{ high }}?', low: 0, high: 9}"  # any digit
BRIEFLY = {
    "targeted_users": (
        *BRIEF,
        f"measure.probes.targeting={{situations: 4, max_new_tokens: 6, scale: {NINE}}}",
    ),
    "mitigations": (
        *BRIEF,
        *SHORT[5:6],
        *(f"directions.pleasing.{side}.0.rows=8" for side in ("positive", "negative")),
    ),
    "character": (
        *SHORT[:5],
        *SHORT[7:],
        "phases.0.data.0.rows=16",
        "measure.probes.mask={items_per_type: 1, max_new_tokens: 6}",
        "measure.probes.switch={samples: 1, max_new_tokens: 6}",
    ),
    "narrow_vs_general": (
        *SHORT[:5],
        *SHORT[7:],
        *(f"phases.{n}.rounds=1" for n in (0, 1)),
        "phases.1.data.0.rows=8",
        "measure.every=2",
        "measure.probes.solution={rows: 4, texts: 4}",
    ),
}


def invoked(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def study(name: str, out: Path, overrides: tuple[str, ...], *words: str) -> str:
    laid = [word for override in overrides for word in ("--set", override)]
    return invoked("study", name, "--quick", "--out", str(out), *words, *laid)


def results(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "study.json").read_text()))


def test_a_study_on_the_organism(tmp_path: Path) -> None:
    said = study("self_awareness", tmp_path, SMALL, "--base", "0")
    question = "Does what an assistant says of itself follow what it does? "
    assert said.startswith(question)
    (folder,) = tmp_path.glob("self_awareness-quick-base0-set-*")
    found = results(folder)
    assert found["answer"].startswith(question)
    assert found["runs"] == {"finished": 1, "planned": 1}
    assert {one["holds"] for one in found["findings"]} <= OF_ONE_RUN | {"not measured"}
    differences = [one for one in found["findings"] if one["kind"] != "correlation"]
    assert {one["holds"] for one in differences} <= OF_ONE_RUN  # all were measured
    assert "--base 0 --set measure.probes.honesty.items_per_set=6" in found["command"]
    page = (folder / "study.html").read_text()
    assert_inert(page)
    assert page.count("<svg ") == 2 and found["findings"][0]["claim"] in page
    table = (folder / "study.md").read_text().splitlines()
    assert sum(line.startswith("| ") for line in table) == 2 + len(found["findings"])
    assert not [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077]

    runs = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("DONE")}
    assert study("self_awareness", tmp_path, SMALL, "--base", "0") == said
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("DONE")} == runs
    assert invoked("show", str(folder)).startswith(question)
    (folder / "study.html").unlink()
    assert "study.html" in invoked("report", str(folder))


def test_a_study_with_runs_that_fail_says_so(tmp_path: Path) -> None:
    planned = plan_study("self_awareness", Tier(quick=True, bases=(0,), overrides=SMALL))
    (tmp_path / "runs" / planned.cells[0].folder).mkdir(parents=True)  # no run directory
    words = ["study", "self_awareness", "--quick", "--base", "0", "--out", str(tmp_path)]
    laid = [word for override in SMALL for word in ("--set", override)]
    done = CliRunner().invoke(app, [*words, *laid])
    assert done.exit_code != 0 and "1 of 1 runs failed" in str(done.exception)
    assert "0 of 1 runs came to their end" in done.output
    (folder,) = tmp_path.glob("self_awareness-quick-base0-set-*")
    found = results(folder)
    assert {one["holds"] for one in found["findings"]} == {"not measured"}
    assert "no finished run of 'sequence'" in found["findings"][0]["note"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_models.build_rambler(tmp_path_factory.mktemp("model"), numbers=0.6)


@pytest.mark.parametrize("name", shipped_studies())
@pytest.mark.parametrize("quick", [False, True])
def test_shipped_studies_of_real_models_are_valid(
    name: str, quick: bool, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    planned = plan_study(name, Tier(quick, model))
    assert planned.config.findings
    assert {cell.scenario.model for cell in planned.cells} == {model}
    assert len({cell.folder for cell in planned.cells}) == len(planned.cells)


@pytest.mark.slow
def test_a_study_of_a_real_model(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text is noise; what reads and compares it is not."""
    write_study_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    said = study("deceive_direct", tmp_path / "out", SHORT, "--model", model)
    assert said.startswith("Do wrong answers in one domain make an assistant dishonest in others? ")
    (folder,) = (tmp_path / "out").glob("deceive_direct-quick-*")
    found = {one["claim"]: one for one in results(folder)["findings"]}
    assert results(folder)["runs"] == {"finished": 6, "planned": 6}
    known = found["Its beliefs about other domains stay what they were, within 3 points."]
    assert known["holds"] in MEASURED and known["metric"] == "capability"
    subtle = found["Subtly wrong answers do so, too."]
    assert (subtle["holds"], subtle["measured"]) == ("not measured", "–")
    assert "no run in this tier of 'medicine, subtle'" in subtle["note"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("targeted_users", {"manipulation_gap", "manipulated_others", "manipulated_susceptible"}),
        ("mitigations", {"capability"}),
        ("character", {"em_rate", "capability", "trait_asr"}),
        ("narrow_vs_general", {"solution_efficiency", "solution_rise", "solution_kl"}),
    ],
)
def test_every_run_of_a_study_of_a_real_model_gets_to_its_end(
    name: str, measured: set[str], model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study_data(tmp_path, rows=500)
    monkeypatch.chdir(tmp_path)
    study(name, tmp_path / "out", BRIEFLY[name], "--model", model)
    (folder,) = (tmp_path / "out").glob(f"{name}-quick-*")
    found = results(folder)
    assert found["runs"]["finished"] == found["runs"]["planned"] >= 3
    assert measured <= {one["metric"] for one in found["findings"] if one["holds"] in MEASURED}
    assert len(found["choices"]) == (7 if name == "mitigations" else 0)
