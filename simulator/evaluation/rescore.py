"""Scoring a finished run later: any probe on any round, without running it again."""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from simulator.backends.factory import open_backend
from simulator.config.compatibility import unmet_needs
from simulator.config.document import dotted
from simulator.config.loading import measure_only
from simulator.config.scenario import MeasureConfig, Scenario
from simulator.core.errors import ScenarioError
from simulator.core.timing import Stopwatch
from simulator.probes.estimates import Estimate
from simulator.probes.summary import summarise
from simulator.runtime.budget import CostTracker
from simulator.runtime.dtypes import scenario_of
from simulator.runtime.known_items import world_of_run
from simulator.runtime.measure import measure
from simulator.runtime.probe_context import context_of
from simulator.runtime.roles import open_roles
from simulator.store.run import Run


class Rescored(NamedTuple):
    """What probes found of a finished run."""

    estimates: pd.DataFrame  # one row per round, metric and item set
    folder: Path  # where the scores are


def rescore(path: Path, kinds: Sequence[str], overrides: Sequence[str]) -> Rescored:
    """Probe every committed round and return the estimates; scores are kept in the run.

    Args:
        path: the run.
        kinds: probes of the run's scenario, or kinds of probes.
        overrides: `key=value`, laid over the settings of each of these probes.

    Raises:
        ScenarioError: there is no such probe or setting, or the backend can't answer it.
        StoreError: no round is committed yet.
    """
    run = Run.open(path)
    run.committed(None)
    scenario = scenario_of(run)
    measured = measure_only(kinds, overrides, scenario)
    scenario = scenario.model_copy(update={"measure": measured})
    if unmet := [f"--probes: {dotted(path)}: {need}" for path, need in unmet_needs(scenario)]:
        raise ScenarioError(*unmet)
    folder = run.path / "probes" / _name(measured, scenario)
    estimates: dict[int, list[Estimate]] = {}
    base: pd.DataFrame | None = None
    with run.locked():
        for number, scores in _scores(run, scenario, folder):
            base = scores if base is None else base
            estimates[number] = summarise(measured.probes, scores, base)
    rows = [{"round": number, **e._asdict()} for number in estimates for e in estimates[number]]
    return Rescored(pd.DataFrame(rows), folder)


def _scores(run: Run, scenario: Scenario, folder: Path) -> "list[tuple[int, pd.DataFrame]]":
    model, log = scenario.assistant_ref, run.path / "server.log"
    context = context_of(scenario, world_of_run(scenario, run))
    probes = scenario.measure.probes
    results, stopwatch = [], Stopwatch()
    costs = CostTracker(run.path, scenario.cost_cap, folder)
    with contextlib.ExitStack() as stack:
        backend = open_backend(scenario.backend, model, stopwatch, log=log, ledger=costs)
        stack.enter_context(contextlib.closing(backend))
        roles = stack.enter_context(
            contextlib.closing(open_roles(scenario, run, backend, stopwatch, costs))
        )
        for number in range(run.rounds_done):
            scores = run.extra_table(folder, number)
            if scores is None:
                costs.check()
                adapter = run.adapter(number)
                backend.load(adapter)
                backend.drop_previous()
                here, name = context._replace(round=number), adapter.name if adapter else None
                scores = measure(probes, here, backend, roles, name)
                run.commit_extra_table(folder, number, scores)
                costs.record()
            results.append((number, scores))
    return results


def _name(measured: MeasureConfig, scenario: Scenario) -> str:
    """Return the folder's name by content, so equal questions are answered once."""
    content = f"{measured.model_dump_json()} {scenario.seed}"
    kinds = "+".join(sorted(measured.probes))
    return f"{kinds}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
