"""Many runs: a grid of overrides, a pool of processes, finished runs reused."""

import itertools
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError
from rich.live import Live
from rich.table import Table

from simulator import yaml_source
from simulator.console import STDERR
from simulator.errors import ScenarioError, UndertowError
from simulator.scenario import Scenario, load
from simulator.settings import Count, Settings
from simulator.store import Run

SHORTHANDS = ("biased_frac", "seed", "base")


class SweepConfig(Settings):
    """A sweep file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    scenario: str = Field("quickstart", description="What every run starts from.")
    processes: Count = Field(2, ge=1, description="Runs at a time.")
    set: dict[str, Any] = Field(default_factory=dict, description="Overrides of every run.")
    grids: tuple[dict[str, list[Any]], ...] = Field(
        min_length=1,
        description="Each is a grid of overrides; biased_frac, seed and base are short for theirs.",
    )


class Cell(NamedTuple):
    """One run of a sweep."""

    name: str
    settings: dict[str, Any]
    scenario: Scenario


class Silent:
    """Observes nothing: a pool's processes have no terminal."""

    def stage(self, number: int, what: str) -> None:
        """Ignores the stage."""

    def wave(self, conversations: int, tokens: int) -> None:
        """Ignores the wave."""

    def round(self, number: int, summary: dict[str, Any]) -> None:
        """Ignores the round."""


def run_sweep(file: str, out: Path | None, processes: int | None) -> Table:
    """Runs what isn't finished yet and returns the table of all runs.

    Raises:
        ScenarioError: the file, or any run's scenario, is wrong; nothing is started then.
    """
    config = _read(Path(file))
    folder = out or Path("sweeps") / config.name
    cells = list(_cells(config))
    context = multiprocessing.get_context("spawn")
    failed: dict[str, str] = {}
    with (
        ProcessPoolExecutor(processes or config.processes, mp_context=context) as pool,
        Live(_table(cells, folder, failed), console=STDERR, transient=True) as live,
    ):
        waiting = {
            pool.submit(_run_cell, folder / cell.name, cell.scenario): cell for cell in cells
        }
        for future in as_completed(waiting):
            error = future.result()
            if error:
                failed[waiting[future].name] = error
            live.update(_table(cells, folder, failed))
    return _table(cells, folder, failed)


def _read(path: Path) -> SweepConfig:
    document = yaml_source.read(path)
    try:
        return SweepConfig.model_validate(document.data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = tuple(problem["loc"])
        origin = document.origins.get(where, f"{path}:1")
        raise ScenarioError(f"{origin}: {yaml_source.dotted(where)}: {problem['msg']}") from None


def _cells(config: SweepConfig) -> Iterator[Cell]:
    seen: set[str] = set()
    for grid in config.grids:
        for values in itertools.product(*grid.values()):
            settings = dict(zip(grid, values, strict=True))
            name = "_".join(f"{key.split('.')[-1]}-{value}" for key, value in settings.items())
            if name not in seen:
                seen.add(name)
                yield Cell(name, settings, _scenario(config, settings))


def _scenario(config: SweepConfig, settings: dict[str, Any]) -> Scenario:
    options: dict[str, Any] = {}
    if "seed" in settings:
        options["seed"] = settings["seed"]
    if "base" in settings:
        options["model"] = f"organism:{settings['base']}"
    rest = {k: v for k, v in settings.items() if k not in SHORTHANDS}
    overrides = [f"{key}={value}" for key, value in {**config.set, **rest}.items()]
    fraction = settings.get("biased_frac")
    return load(config.scenario, overrides=overrides, biased_frac=fraction, options=options)


def _run_cell(path: Path, scenario: Scenario) -> str:
    """Starts, resumes or skips one run, in a process of the pool; returns what went wrong."""
    from simulator.runs import resume, start

    try:
        if not path.exists():
            start(scenario, path, Silent())
        elif Run.open(path).rounds_done <= scenario.rounds:
            resume(path, Silent())
    except UndertowError as error:
        return str(error)
    return ""


def _table(cells: list[Cell], folder: Path, failed: dict[str, str]) -> Table:
    table = Table(title=str(folder), title_justify="left")
    table.add_column("run")
    table.add_column("rounds", justify="right")
    for item_set in ("used", "heldout", "ood"):
        table.add_column(f"honest, {item_set}", justify="right")
    for cell in cells:
        path = folder / cell.name
        done = Run(path).rounds_done - 1 if path.exists() else 0
        rounds = failed.get(cell.name) or f"{max(done, 0)}/{cell.scenario.rounds}"
        table.add_row(cell.name, rounds, *_honesty(path, done))
    return table


def _honesty(path: Path, done: int) -> list[str]:
    if done < 0 or not path.exists():
        return ["", "", ""]
    estimates = Run(path).summary(done)["estimates"]
    found = {e["item_set"]: e["value"] for e in estimates if e["metric"] == "honesty"}
    return [f"{found[s]:.3f}" if s in found else "" for s in ("used", "heldout", "ood")]
