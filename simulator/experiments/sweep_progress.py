"""The progress of a sweep: a table in a terminal, else a line for each run that ends."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Protocol

from rich.live import Live
from rich.table import Table

from simulator.core.console import STDERR, inert
from simulator.core.terminal import one_line
from simulator.runtime.observers import duration
from simulator.store.run import Run
from simulator.store.sweep import REPLICATES, Member, Sweep

ITEM_SETS = {"used": "talked about", "heldout": "held out", "ood": "new domains"}


class SweepProgress(Protocol):
    """Is told of every run that ends."""

    def ended(self, run: Path, error: str) -> None:
        """Note that a run has ended; the error is empty if it finished."""
        ...


@contextmanager
def open_progress(sweep: Sweep, due: int) -> Iterator[SweepProgress]:
    """Show the progress of the runs that are due, as stderr allows."""
    if STDERR.is_terminal:
        progress = TableProgress(sweep, due)
        with Live(
            get_renderable=progress.table, console=STDERR, transient=True, refresh_per_second=1
        ):
            yield progress
    else:
        yield LineProgress(sweep, due)


class Count:
    """How many runs have ended, and how long the others take at that pace."""

    def __init__(self, due: int) -> None:
        self._due, self._done, self._started = due, 0, time.perf_counter()

    def next(self) -> str:
        """Count one more run; return the count and the time left as text."""
        self._done += 1
        left = (time.perf_counter() - self._started) / self._done * (self._due - self._done)
        words = f", about {duration(left)} left" if left else ""
        return f"{self._done} of {self._due} runs done{words}"


class TableProgress:
    """A table in a terminal, read anew every second: runs grow in other processes."""

    def __init__(self, sweep: Sweep, due: int) -> None:
        self._sweep, self._count, self._caption = sweep, Count(due), ""

    def ended(self, run: Path, error: str) -> None:
        """Count the run; errors are reported in the end."""
        self._caption = self._count.next()

    def table(self) -> Table:
        """Return the table as things are."""
        table = progress_table(self._sweep)
        table.caption = self._caption
        return table


class LineProgress:
    """Prints a line for each run that ends: which it is, its honesty, the time left."""

    def __init__(self, sweep: Sweep, due: int) -> None:
        self._members = {member.run.path: member for member in reversed(sweep.members)}
        self._count = Count(due)
        if due:
            self._print(f"{sweep.path}: {due} of {len(self._members)} runs to do")

    def ended(self, run: Path, error: str) -> None:
        """Print the line of the run."""
        member = self._members[run]
        settings = (f"{short(key)} {value}" for key, value in member.settings.items())
        what = one_line(f"failed: {error}") if error else honesty_words(member)
        name = ", ".join(filter(None, (member.arm, *settings)))
        self._print(f"{name}: {what}; {self._count.next()}")

    def _print(self, line: str) -> None:
        STDERR.print(inert(line), soft_wrap=True)


def short(key: str) -> str:
    """Return the last part of a setting's name."""
    return key.split(".")[-1]


def honesty_words(member: Member) -> str:
    """Return the honesty of a finished run as text."""
    found = _honesty(member.run.path, member.rounds)
    shown = (f"{found[s]:.2f} {name}" for s, name in ITEM_SETS.items() if s in found)
    return f"honest under pressure {', '.join(shown)}" if found else "finished"


def progress_table(sweep: Sweep) -> Table:
    """Return the progress by condition: finished runs, and their honesty so far."""
    conditions: defaultdict[tuple[str, str], list[Member]] = defaultdict(list)
    for member in sweep.members:
        axes = [f"{short(k)} {v}" for k, v in member.settings.items() if k not in REPLICATES]
        conditions[member.arm, ", ".join(axes)].append(member)
    table = Table(title=inert(f"{sweep.path}: honest under pressure"), title_justify="left")
    for heading in ("arm", "setting", "runs", "rounds", *ITEM_SETS.values()):
        table.add_column(heading, justify="left" if heading in ("arm", "setting") else "right")
    for (arm, setting), members in conditions.items():
        finished = [member for member in members if member.finished]
        found = [_honesty(member.run.path, member.rounds) for member in finished]
        cells = [_shown([f[s] for f in found if s in f]) for s in ITEM_SETS]
        runs = f"{len(finished)}/{len(members)}"
        committed = sum(max(0, member.rounds_done) for member in members)
        rounds = f"{committed}/{sum(member.rounds for member in members)}"
        table.add_row(inert(arm), inert(setting), runs, rounds, *cells)
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
