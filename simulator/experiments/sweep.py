"""Many runs: finished ones are reused, unfinished ones resumed, by one or several commands."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from simulator.core.console import STDERR, inert
from simulator.core.errors import Interrupted, StoreError
from simulator.experiments.executor import Executor
from simulator.experiments.executors import Asked, Engine, open_executor
from simulator.experiments.jobs import Ended, Job, is_finished, is_waiting
from simulator.experiments.placement import Needs, needs_of
from simulator.experiments.sweep_config import Cell, plan
from simulator.experiments.sweep_progress import open_progress
from simulator.runtime.fetching import fetch_models
from simulator.runtime.model_checks import check_models
from simulator.runtime.preflight import check_chats
from simulator.store.run import Run
from simulator.store.sweep import RUNS, Member, Sweep

SWEEPS = Path("sweeps")
PATIENCE = 1.0  # seconds between looks at a run that another command works on


class Shard(NamedTuple):
    """A part of a sweep's runs, for job arrays: every `of`-th run from the `first` on."""

    first: int = 1
    of: int = 1


ALL = Shard()
AS_THE_FILE_SAYS = Asked()


def run_sweep(
    file: str, out: Path | None, asked: Asked = AS_THE_FILE_SAYS, shard: Shard = ALL
) -> Sweep:
    """Run all unfinished runs of a shard.

    Args:
        file: of the sweep.
        out: where sweeps are kept; None: `sweeps/`.
        asked: where runs are played.
        shard: the part of the runs that is this command's.

    Raises:
        ScenarioError: the file, or any run's scenario, is wrong; then nothing is started.
        StoreError: some runs couldn't be finished; the others are kept.
    """
    config, cells = plan(Path(file))
    engine = Engine.of(asked, config)
    fetch_all(cells)
    sweep = lay_out(cells, (out or SWEEPS) / config.name)
    if failed := run_cells(sweep, cells, engine, shard):
        raise StoreError(failures(sweep, failed))
    return sweep


def fetch_all(cells: Sequence[Cell]) -> None:
    """Fetch the models of all runs; the names of the runs' folders hold the hash of the weights.

    Raises:
        ScenarioError: a model can't be used.
        BackendError: one can't be fetched.
    """
    scenarios = [cell.scenario for cell in cells]
    for scenario in scenarios:
        check_models(scenario)
    fetch_models(scenarios, lambda line: STDERR.print(inert(line), soft_wrap=True))


def lay_out(cells: Sequence[Cell], path: Path) -> Sweep:
    """Write the list of a sweep's runs to its folder, without running them."""
    members = [
        Member(
            cell.arm, cell.settings, cell.scenario.last_round, Run(path.parent / RUNS / cell.folder)
        )
        for cell in cells
    ]
    return Sweep.write(path, members)


def failures(sweep: Sweep, failed: dict[Path, str]) -> str:
    """Return a sentence on the number of failed runs and the first failure."""
    path, reason = next(iter(failed.items()))
    return f"{len(failed)} of {len(sweep.members)} runs failed; the first, {path}: {reason}"


def run_cells(
    sweep: Sweep, cells: Sequence[Cell], engine: Engine, shard: Shard = ALL
) -> dict[Path, str]:
    """Run all unfinished runs; return the failures, by run.

    Other commands may work on the same folder: what they are at is waited for.

    Args:
        sweep: as it was laid out.
        cells: its runs, in the same order.
        engine: where they are played.
        shard: the part of the runs that is this command's.

    Raises:
        ScenarioError: training data of a run can't be read; then nothing is started.
        StoreError: the executor can't go on.
    """
    jobs = _due(sweep, cells, engine.gpus, shard)
    for job in jobs:
        check_models(job.scenario)
    told = (check_chats(job.scenario).sentences for job in jobs)
    for sentence in dict.fromkeys(chain.from_iterable(told)):
        STDERR.print(inert(sentence), soft_wrap=True)
    failed = dict[Path, str]()
    if not jobs:
        return failed
    try:
        with (
            open_executor(engine, jobs, sweep.path) as executor,
            open_progress(sweep, len(jobs)) as progress,
        ):
            for ended in _until_all_ended(executor, jobs):
                if ended.error:
                    failed[ended.path] = ended.error
                progress.ended(ended.path, ended.error)
    except KeyboardInterrupt:
        raise Interrupted("stopped; finished work is kept, and the same command goes on") from None
    return failed


def _due(sweep: Sweep, cells: Sequence[Cell], gpus: float | None, shard: Shard) -> list[Job]:
    """Return the unfinished runs of a shard, each once."""
    needs = dict[str, Needs]()  # the runs of an arm need about the same
    jobs = dict[Path, Job]()
    for member, cell in zip(sweep.members, cells, strict=True):
        if cell.arm not in needs:
            needs[cell.arm] = needs_of(cell.scenario, gpus)
        path = member.run.path.resolve()
        jobs.setdefault(path, Job(path, cell.scenario, needs[cell.arm], Path.cwd()))
    own = list(jobs.values())[shard.first - 1 :: shard.of]
    return [job for job in own if not is_finished(job)]


def _until_all_ended(executor: Executor, jobs: Sequence[Job]) -> Iterator[Ended]:
    """Yield each run's end, also of those that another command works on."""
    left = {job.path: job for job in jobs}
    while left:
        for ended in executor.run(list(left.values())):
            if not ended.is_taken:
                del left[ended.path]
                yield ended
        while left and all(map(is_waiting, left.values())):
            time.sleep(PATIENCE)
