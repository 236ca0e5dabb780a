"""Many runs: a pool of processes, finished runs reused, unfinished ones resumed."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from pathlib import Path

from simulator.config.scenario import Scenario
from simulator.core.console import STDERR, inert
from simulator.core.errors import Interrupted, StoreError, UndertowError
from simulator.core.garbage_collection import keep_loaded
from simulator.core.processes import follow_parent
from simulator.experiments.sweep_config import Cell, plan
from simulator.experiments.sweep_progress import open_progress
from simulator.runtime.fetching import fetch_models
from simulator.runtime.model_checks import check_models
from simulator.runtime.preflight import check_chats
from simulator.store.run import Run
from simulator.store.sweep import MEASUREMENTS, RUNS, Member, Sweep


def run_sweep(file: str, out: Path | None, processes: int | None) -> Sweep:
    """Run all unfinished runs.

    Raises:
        ScenarioError: the file, or any run's scenario, is wrong; then nothing is started.
        StoreError: some runs couldn't be finished; the others are kept.
    """
    config, cells = plan(Path(file))
    fetch_all(cells)
    sweep = lay_out(cells, (out or Path("sweeps")) / config.name)
    if failed := run_cells(sweep, cells, processes or config.processes):
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


def run_cells(sweep: Sweep, cells: Sequence[Cell], processes: int) -> dict[Path, str]:
    """Run all unfinished runs; return the failures, by run.

    Args:
        sweep: as it was laid out.
        cells: its runs, in the same order.
        processes: number of concurrent runs.

    Raises:
        ScenarioError: training data of a run can't be read; then nothing is started.
    """
    due = {
        member.run.path: cell.scenario
        for member, cell in zip(sweep.members, cells, strict=True)
        if not member.finished
    }
    for scenario in due.values():
        check_models(scenario)
    told = (check_chats(scenario).sentences for scenario in due.values())
    for sentence in dict.fromkeys(chain.from_iterable(told)):
        STDERR.print(inert(sentence), soft_wrap=True)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=follow_parent)
    failed = dict[Path, str]()
    keep_loaded()
    try:
        with open_progress(sweep, len(due)) as progress:
            waiting: dict[Future[str], Path] = {
                pool.submit(_run_one, path, scenario): path for path, scenario in due.items()
            }
            for future in as_completed(waiting):
                path = waiting[future]
                if error := future.result():
                    failed[path] = error
                progress.ended(path, error)
    except BrokenProcessPool:
        raise StoreError(
            f"{sweep.path}: a process was killed, perhaps because memory ran out; finished work is "
            "kept, and the same command goes on"
        ) from None
    except KeyboardInterrupt:
        raise Interrupted("stopped; finished work is kept, and the same command goes on") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()  # a run may be stopped at any point
    return failed


def _run_one(path: Path, scenario: Scenario) -> str:
    """Start or resume one run, in a process of the pool; return the failure, if any."""
    from simulator.experiments.run import resume, start
    from simulator.experiments.unstarted import is_unstarted
    from simulator.runtime.observers import Silent

    measurements = path.parents[1] / MEASUREMENTS
    try:
        if path.exists() and not is_unstarted(path):
            resume(path, Silent(), measurements=measurements)
        else:
            start(scenario, path, Silent(), measurements)
    except UndertowError as error:
        return str(error)
    return ""
