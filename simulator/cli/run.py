"""The commands `run`, `finetune` and `resume`."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.options import (
    AsJson,
    Backend,
    Base,
    CostCap,
    Model,
    Named,
    Out,
    Override,
    RunPath,
    Seed,
    SkipBadRows,
    model_of,
    notify,
    say,
)
from simulator.cli.report import Places, write_run_pages

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


def run(
    scenario: Named = "quickstart",
    biased_frac: Annotated[
        float | None, typer.Option(help="Share of biased users; the others share the rest.")
    ] = None,
    seed: Seed = None,
    base: Base = None,
    model: Model = None,
    backend: Backend = None,
    cost_cap: CostCap = None,
    skip_bad_rows: SkipBadRows = False,
    overrides: Override = None,
    out: Out = None,
    as_json: AsJson = False,
    dry_run: Annotated[
        bool, typer.Option(help="Estimate requests, time and memory, and stop.")
    ] = False,
) -> None:
    """Run a scenario: conversations, feedback, updates, probes."""
    started = time.perf_counter()
    from simulator.config.loading import load_located

    served = backend and {"kind": backend}
    chosen = {"seed": seed, "model": model_of(base, model), "backend": served, "cost_cap": cost_cap}
    located = load_located(
        scenario,
        overrides=overrides or (),
        biased_frac=biased_frac,
        options={key: value for key, value in chosen.items() if value is not None},
        skip_bad_rows=skip_bad_rows,
        notify=notify,
    )
    with located.placing():
        if dry_run:
            _estimate(located.scenario)
        else:
            _play(located.scenario, out, started, as_json=as_json)


def finetune(
    data: Annotated[str, typer.Argument(help="A file or folder of chats, or a hub id.")],
    rows: Annotated[int | None, typer.Option(help="How many of them; default: all.")] = None,
    rounds: Annotated[
        int, typer.Option(help="Number of updates that the chats are split over.")
    ] = 1,
    scenario: Named = "quickstart",
    seed: Seed = None,
    base: Base = None,
    model: Model = None,
    skip_bad_rows: SkipBadRows = False,
    overrides: Override = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune on given chats, with a scenario's learner and probes; without conversations."""
    started = time.perf_counter()
    from simulator.config.loading import load

    source = {"kind": "file", "path": data, "rows": rows}
    phase = {"kind": "finetune", "rounds": rounds, "data": [source]}
    chosen = {"seed": seed, "model": model_of(base, model), "name": "finetune", "phases": [phase]}
    options = {key: value for key, value in chosen.items() if value is not None}
    loaded = load(
        scenario,
        overrides=overrides or (),
        options=options,
        skip_bad_rows=skip_bad_rows,
        notify=notify,
    )
    _play(loaded, out, started, as_json=as_json)


def resume(
    path: RunPath,
    cost_cap: CostCap = None,
    as_json: AsJson = False,
) -> None:
    """Continue a run that was stopped or killed, from its last committed wave."""
    started = time.perf_counter()
    from simulator.config.loading import load
    from simulator.experiments.run import resume as resume_run
    from simulator.runtime.observers import open_observer
    from simulator.store.run import Run

    scenario = load(str(Run.open(path).scenario_file))
    with open_observer(scenario.last_round) as observer:
        resume_run(path, observer, cost_cap)
    _conclude(path, started, as_json=as_json)


def _estimate(scenario: "Scenario") -> None:
    """Check a scenario's data, and print what its run would take."""
    from simulator.experiments.dry_run import dry_run_table
    from simulator.experiments.time_table import time_table
    from simulator.runtime.fetching import not_fetched_yet
    from simulator.runtime.preflight import check_chats

    absent = not_fetched_yet(scenario)
    for sentence in (*absent, *check_chats(scenario, local=bool(absent)).sentences):
        notify(sentence)
    counted = dry_run_table(scenario)
    say(counted)
    if timed := time_table(scenario):
        say(timed)


def _play(scenario: "Scenario", out: Path | None, started: float, *, as_json: bool) -> None:
    """Run a scenario and print its result."""
    from simulator.experiments.run import start
    from simulator.runtime.observers import open_observer

    with open_observer(scenario.last_round) as observer:
        done = start(scenario, out, observer)
    _conclude(done.path, started, as_json=as_json)


def _conclude(path: Path, started: float, *, as_json: bool) -> None:
    """Write picture and report, and print the result."""
    from analysis.export import run_json
    from analysis.run.summary import headline, rows_left_out, summary_table, unchanged_rounds
    from simulator.store.run import Run

    finished = Run.open(path)
    written = write_run_pages(finished, Places.in_run(path))
    if as_json:
        typer.echo(json.dumps(run_json(finished, time.perf_counter() - started)))
        return
    say(summary_table(finished))
    say(headline(finished))
    for sentence in (*rows_left_out(finished), *unchanged_rounds(finished)):
        say(sentence)
    say(f"{time.perf_counter() - started:.0f} s; see {' and '.join(map(str, written))}")
