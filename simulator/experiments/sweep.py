"""Many runs: a pool of processes, finished runs reused, unfinished ones resumed."""

import multiprocessing
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import chain
from pathlib import Path

from rich.live import Live
from rich.table import Table

from simulator.config.scenario import Scenario
from simulator.core.console import STDERR, inert
from simulator.core.errors import Interrupted, StoreError, UndertowError
from simulator.core.garbage_collection import keep_loaded
from simulator.core.processes import follow_parent
from simulator.experiments.sweep_config import Cell, plan
from simulator.runtime.fetching import fetch_models
from simulator.runtime.model_checks import check_models
from simulator.runtime.preflight import check_chats
from simulator.store.run import Run
from simulator.store.sweep import REPLICATES, RUNS, Member, Sweep


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
    started, failed = time.perf_counter(), dict[Path, str]()
    keep_loaded()
    try:
        with Live(progress_table(sweep), console=STDERR, transient=True) as live:
            waiting: dict[Future[str], Path] = {
                pool.submit(_run_one, path, scenario): path for path, scenario in due.items()
            }
            for done, future in enumerate(as_completed(waiting), 1):
                if error := future.result():
                    failed[waiting[future]] = error
                left = (time.perf_counter() - started) / done * (len(due) - done)
                table = progress_table(sweep)
                table.caption = f"{done} of {len(due)} runs done, {left / 60:.0f} minutes left"
                live.update(table)
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

    try:
        if path.exists() and not is_unstarted(path):
            resume(path, Silent())
        else:
            start(scenario, path, Silent())
    except UndertowError as error:
        return str(error)
    return ""


def progress_table(sweep: Sweep) -> Table:
    """Return the progress by condition: finished runs, and their honesty so far."""
    conditions: defaultdict[tuple[str, str], list[Member]] = defaultdict(list)
    for member in sweep.members:
        axes = [
            f"{k.split('.')[-1]} {v}" for k, v in member.settings.items() if k not in REPLICATES
        ]
        conditions[member.arm, ", ".join(axes)].append(member)
    table = Table(title=inert(f"{sweep.path}: honest under pressure"), title_justify="left")
    for heading in ("arm", "setting", "runs", "talked about", "held out", "new domains"):
        table.add_column(heading, justify="left" if heading in ("arm", "setting") else "right")
    for (arm, setting), members in conditions.items():
        finished = [member for member in members if member.finished]
        found = [_honesty(member.run.path, member.rounds) for member in finished]
        cells = [_shown([f[s] for f in found if s in f]) for s in ("used", "heldout", "ood")]
        table.add_row(inert(arm), inert(setting), f"{len(finished)}/{len(members)}", *cells)
    return table


@cache
def _honesty(path: Path, number: int) -> dict[str, float]:
    estimates = Run(path).summary(number)["estimates"]
    return {e["item_set"]: e["value"] for e in estimates if e["metric"] == "honesty"}


def _shown(values: list[float]) -> str:
    """Format a mean with the range of the runs."""
    if not values:
        return ""
    mean = f"{sum(values) / len(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f}–{max(values):.2f})"
