"""Observers of a run: a progress bar in a terminal, one line per round, or silence.

Progress goes to stderr; stdout has only the result.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from simulator.core.console import STDERR, inert
from simulator.probes.estimates import Estimate
from simulator.runtime.round_tables import RoundRecord

ITEM_SETS = {"used": "used", "heldout": "held out", "ood": "new domains"}


class Observer(Protocol):
    """Watches a run; shows progress."""

    def stage(self, number: int, what: str) -> None:
        """Note that a round enters a stage."""
        ...

    def note(self, sentence: str) -> None:
        """Note something about the whole run."""
        ...

    def wave(self, conversations: int, tokens: int) -> None:
        """Note a finished wave: its conversations, and all tokens generated so far."""
        ...

    def round(self, record: RoundRecord) -> None:
        """Note a committed round."""
        ...


class Silent:
    """Shows nothing: the processes of a sweep share one terminal."""

    def stage(self, number: int, what: str) -> None:
        """Ignore the stage."""

    def note(self, sentence: str) -> None:
        """Ignore the sentence."""

    def wave(self, conversations: int, tokens: int) -> None:
        """Ignore the wave."""

    def round(self, record: RoundRecord) -> None:
        """Ignore the round."""


@contextlib.contextmanager
def open_observer(rounds: int) -> Iterator[Observer]:
    """Show the progress of a run whose last round is `rounds`, as stderr allows."""
    if STDERR.is_terminal:
        with LiveProgress(rounds) as live:
            yield live
    else:
        yield LineProgress(rounds)


class LineProgress:
    """Prints one line per round."""

    def __init__(self, rounds: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._rounds, self._pace = rounds, Pace(rounds, clock)

    def stage(self, number: int, what: str) -> None:
        """Ignore the stage."""

    def note(self, sentence: str) -> None:
        """Print the sentence."""
        STDERR.print(inert(sentence), soft_wrap=True)

    def wave(self, conversations: int, tokens: int) -> None:
        """Ignore the wave."""

    def round(self, record: RoundRecord) -> None:
        """Print the round's line."""
        took = duration(self._pace.committed(record.number))
        time_spent = ", ".join(filter(None, (took, self._pace.words)))
        shown = "; ".join(filter(None, (honesty(record.estimates), time_spent)))
        line = f"round {record.number} of {self._rounds}: {shown}"
        STDERR.print(inert(line), soft_wrap=True)


class LiveProgress:
    """Shows rounds, the stage, what is left, rates per second, and the current honesty."""

    def __init__(self, rounds: int) -> None:
        self._pace = Pace(rounds)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} rounds"),
            TimeElapsedColumn(),
            _TimeLeft(self._pace),
            TextColumn("{task.fields[rates]}"),
            TextColumn("{task.fields[honesty]}"),
            console=STDERR,
        )
        self._task = self._progress.add_task("loading", total=rounds, rates="", honesty="")
        self._entered = time.perf_counter()
        self._done = self._tokens = self._tokens_before = 0

    def __enter__(self) -> "LiveProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, number: int, what: str) -> None:
        """Show the stage; the first one makes the bar appear."""
        self._progress.start()
        self._entered, self._done, self._tokens_before = time.perf_counter(), 0, self._tokens
        self._progress.update(self._task, description=f"round {number}: {what}", rates="")

    def note(self, sentence: str) -> None:
        """Print the sentence above the bar."""
        self._progress.console.print(inert(sentence), soft_wrap=True)

    def wave(self, conversations: int, tokens: int) -> None:
        """Show the rate of conversations."""
        seconds = max(time.perf_counter() - self._entered, 1e-6)
        self._done, self._tokens = self._done + conversations, tokens
        per_second = (self._tokens - self._tokens_before) / seconds
        rates = f"{self._done / seconds:,.0f} conversations/s, {per_second:,.0f} tokens/s"
        self._progress.update(self._task, rates=rates)

    def round(self, record: RoundRecord) -> None:
        """Show the round's estimates."""
        self._pace.committed(record.number)
        shown = honesty(record.estimates)
        self._progress.update(self._task, completed=record.number, honesty=shown)


class Pace:
    """The duration of rounds, and the time left at that pace.

    The first round includes the loading of the model, so it counts only until there is another.
    Round 0 has no update, so it is a poor estimate of later rounds.
    """

    def __init__(self, rounds: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._rounds, self._clock = rounds, clock
        self._since = clock()
        self._number, self._took = 0, list[float]()

    def committed(self, number: int) -> float:
        """Note that a round is over, and return the seconds that it took."""
        now = self._clock()
        self._number, took = number, now - self._since
        self._took.append(took)
        self._since = now
        return took

    def left(self) -> float | None:
        """Return the estimate of the seconds left; None before the first round."""
        known = self._took[1:] or self._took
        if self._number == 0:
            return None
        per_round = sum(known) / len(known)
        running = min(self._clock() - self._since, per_round)
        return max(per_round * (self._rounds - self._number) - running, 0.0)

    @property
    def words(self) -> str:
        """Return the time left as text; empty if unknown or zero."""
        left = self.left() or 0.0
        return f"about {duration(left)} left" if left >= 0.5 else ""  # else it reads "0 s"


class _TimeLeft(ProgressColumn):
    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        return Text(self._pace.words)


def honesty(estimates: Sequence[Estimate]) -> str:
    """Return a round's honesty as text; empty if it wasn't measured."""
    found = [
        f"{f'{e.value:.2f}'.removeprefix('0')} {ITEM_SETS.get(e.item_set, e.item_set)}".strip()
        for e in estimates
        if e.metric == "honesty" and not math.isnan(e.value)
    ]
    return f"honest under pressure {', '.join(found)}" if found else ""


def duration(seconds: float) -> str:
    """Return a duration as text: in seconds, minutes or hours."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
