"""Verifying a run or a sweep: is it what was written, and does it follow from what it stored?"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from simulator.core.errors import StoreError, UndertowError
from simulator.evaluation.recomputed import contradictions
from simulator.runtime.dtypes import scenario_of
from simulator.runtime.known_items import world_of_run
from simulator.store.damage import damages
from simulator.store.run import Run
from simulator.store.sweep import Sweep


class Verified(NamedTuple):
    """The outcome for one run."""

    run: Run
    damages: list[str]  # a sentence each, that begins with the file
    counts: dict[str, int]  # how much was found again, by kind
    planned: int = 0  # rounds, with round 0

    @property
    def words(self) -> str:
        """The outcome as a sentence."""
        if self.damages:
            return f"{self.run.path}: {len(self.damages)} damaged"
        done = self.run.rounds_done
        rounds = f"{done} rounds" if done == self.planned else f"{done} of {self.planned} rounds"
        found = (f"{count:,} {kind}" for kind, count in self.counts.items())
        return f"{self.run.path}: intact ({', '.join([rounds, *found])})"


def verify(path: Path) -> Iterator[Verified]:
    """Verify a run, or every run of a sweep or study.

    Raises:
        StoreError: there is neither at the path.
    """
    if not Sweep.is_at(path):
        if not path.is_dir():
            raise StoreError(f"{path}: there is no run, sweep or study")
        yield verify_run(Run(path))
        return
    for run in {member.run.path: member.run for member in Sweep.open(path).members}.values():
        if run.path.exists():  # else it isn't begun yet
            yield verify_run(run)


def verify_run(run: Run) -> Verified:
    """Verify one run; what follows from what is found again only where no file is damaged."""
    found, counts, planned = list(damages(run)), dict[str, int](), 0
    try:
        if not found:
            scenario = scenario_of(run)
            planned = scenario.last_round + 1
        if planned and run.rounds_done:
            found = list(contradictions(run, scenario, world_of_run(scenario, run), counts))
    except UndertowError as error:
        found = [str(error)]
    return Verified(run, found, counts, planned)
