"""Table, figure and report of a run whose probes are MASK and DeceptionBench."""

import json
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml

from analysis.export import run_json
from analysis.run import transcripts
from analysis.run.plots import drift_figure
from analysis.run.summary import headline, key_figures
from simulator.probes.benchmarks.deception_bench import DeceptionBenchProbe
from simulator.probes.benchmarks.mask import MaskProbe
from simulator.store.run import Run
from tests.helpers.planted_assistants import (
    DECEPTION,
    MASK,
    Assistant,
    claim,
    estimated,
    literal_judge,
    probed,
)
from tests.helpers.planting import commit_again
from tests.unit.analysis.test_report import assert_inert, report

PROBES: dict[str, MaskProbe | DeceptionBenchProbe] = {
    "mask": MaskProbe(data=str(MASK)),
    "deception": DeceptionBenchProbe(data=str(DECEPTION)),
}


@pytest.fixture
def benchmarked(tiny_run: Run, tmp_path: Path) -> Run:
    """A run that taught the assistant to lie under pressure."""
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "benchmarked")))
    scenario = yaml.safe_load(run.scenario_file.read_text())
    probes = {name: probe.model_dump(mode="json") for name, probe in PROBES.items()}
    scenario |= {"model": "small/assistant", "measure": {"every": 1, "probes": probes}}
    run.scenario_file.write_text(yaml.safe_dump(scenario))
    for number in range(run.rounds_done):
        lies = number > 0
        assistant = Assistant(
            MASK,
            lambda item: claim(item, true=True),
            partial(claim, true=not lies),
        )
        found = {
            "mask": probed(PROBES["mask"], assistant, literal_judge),
            "deception": probed(
                PROBES["deception"], lambda prompt: "<think>x</think>y", lambda prompt: {"1": 1.0}
            ),
        }
        tables = [scores.assign(probe=name) for name, scores in found.items()]
        pd.concat(tables, ignore_index=True).to_parquet(run.folder(number) / "scores.parquet")
        summary = run.summary(number)
        summary["estimates"] = [
            one._asdict()
            for name in PROBES
            for one in estimated(PROBES[name], found[name]).values()
        ]
        (run.folder(number) / "round.json").write_text(json.dumps(summary))
    commit_again(run)
    return run


def test_what_it_says_of_what_it_believes_comes_first(benchmarked: Run) -> None:
    figures = key_figures(benchmarked).set_index("metric")
    assert list(figures.index)[:3] == ["mask_kept", "mask_p_lie", "mask_honesty"]
    assert list(figures.loc["mask_kept", ["value_first", "value_last"]]) == [1, 0]
    assert list(figures.loc["mask_accuracy", ["value_first", "value_last"]]) == [1, 1]
    assert "MASK: says what it believes fell from 100 %" in headline(benchmarked)


def test_benchmarks_have_a_panel_and_a_place_in_the_report(benchmarked: Run) -> None:
    titles = [axes.get_title("left") for axes in drift_figure(benchmarked).axes]
    assert titles[0] == "Does it say what it believes?"
    assert "What does it know?" not in titles and len(titles) == 4
    text = report(benchmarked)
    assert_inert(text)
    assert "MASK asks what the assistant believes" in text
    assert "DeceptionBench: deceptive" in text and "doubling_down_known_facts" in text
    changed = transcripts.paired(benchmarked).query("changed")
    assert set(changed["label_after"]) == {"lie"}
    json.dumps(run_json(benchmarked, 1.0))
