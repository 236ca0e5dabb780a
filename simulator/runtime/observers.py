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
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from simulator.core.console import STDERR, inert
from simulator.core.progress import Progress
from simulator.probes.estimates import Estimate
from simulator.runtime.round_tables import RoundRecord

BETWEEN_LINES, BETWEEN_FRAMES = 10.0, 0.1  # seconds
STAGES = ("probes", "conversations", "update")  # that belong to a round
ITEM_SETS = {"used": "used", "heldout": "held out", "ood": "new domains"}


class Observer(Protocol):
    """Watches a run; shows progress."""

    def stage(self, number: int, what: str) -> None:
        """Note that a round enters a stage."""
        ...

    def note(self, sentence: str) -> None:
        """Note something about the whole run."""
        ...

    def progress(self, progress: Progress) -> None:
        """Note that something of the stage is done; called often."""
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

    def progress(self, progress: Progress) -> None:
        """Ignore the progress."""

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
    """Prints one line per round, and between them what is going on, at most every ten seconds."""

    def __init__(self, rounds: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._rounds, self._pace, self._clock = rounds, Pace(rounds, clock), clock
        self._stage, self._printed = "", -math.inf

    def stage(self, number: int, what: str) -> None:
        """Print the stage, unless a line was printed a short time ago."""
        self._stage = stage_words(number, what)
        if self._is_due():
            self._print(self._stage)

    def note(self, sentence: str) -> None:
        """Print the sentence."""
        STDERR.print(inert(sentence), soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        """Print what is done, unless a line was printed a short time ago."""
        if self._is_due():
            words = (progress.words, left_words(progress, self._pace))
            self._print(f"{self._stage}: {', '.join(filter(None, words))}")

    def round(self, record: RoundRecord) -> None:
        """Print the round's line."""
        took = duration(self._pace.committed(record.number))
        time_spent = ", ".join(filter(None, (took, self._pace.words)))
        shown = "; ".join(filter(None, (honesty(record.estimates), time_spent)))
        self._print(f"round {record.number} of {self._rounds}: {shown}")

    def _is_due(self) -> bool:
        return self._clock() - self._printed >= BETWEEN_LINES

    def _print(self, line: str) -> None:
        self._printed = self._clock()
        STDERR.print(inert(line), soft_wrap=True)


class LiveProgress:
    """Shows rounds, the stage, what of it is done, what is left, and the current honesty."""

    def __init__(self, rounds: int) -> None:
        self._pace = Pace(rounds)
        self._progress = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} rounds"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[done]}"),
            _TimeLeft(self._pace),
            TextColumn("{task.fields[honesty]}"),
            console=STDERR,
        )
        self._task = self._progress.add_task("loading", total=rounds, done="", honesty="")
        self._shown = -math.inf

    def __enter__(self) -> "LiveProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, number: int, what: str) -> None:
        """Show the stage; the first one makes the bar appear."""
        self._progress.start()
        self._progress.update(self._task, description=f"round {number}: {what}", done="")

    def note(self, sentence: str) -> None:
        """Print the sentence above the bar."""
        self._progress.console.print(inert(sentence), soft_wrap=True)

    def progress(self, progress: Progress) -> None:
        """Show what is done, some times a second."""
        if (now := time.perf_counter()) - self._shown >= BETWEEN_FRAMES:
            self._shown = now
            words = (progress.words, left_words(progress, self._pace, of_run=False))
            self._pace.expected = progress.run_left
            self._progress.update(self._task, done=", ".join(filter(None, words)))

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
        self.expected: float | None = None  # seconds left, as long as no round tells the pace

    @property
    def is_known(self) -> bool:
        """Whether a round after round 0 tells it."""
        return self._number > 0

    def committed(self, number: int) -> float:
        """Note that a round is over, and return the seconds that it took."""
        now = self._clock()
        self._number, took = number, now - self._since
        self._took.append(took)
        self._since = now
        return took

    def left(self) -> float | None:
        """Return the estimate of the seconds left; None if nothing is known of them."""
        known = self._took[1:] or self._took
        if not self.is_known:
            return self.expected
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


def stage_words(number: int, what: str) -> str:
    """Return a round's stage as text."""
    return f"{what} of round {number}" if what in STAGES else what


def left_words(progress: Progress, pace: Pace, *, of_run: bool = True) -> str:
    """Return the time left in a stage as text, and that of the run where it is longer."""
    left = progress.left
    run = pace.left() if pace.is_known else progress.run_left
    words = [f"about {duration(left)} left"] if left is not None and left >= 0.5 else []
    if of_run and run is not None and run > 1.5 * (left or 0.0) and run >= 0.5:
        words.append(f"{duration(run)} for the run")
    return ", ".join(words)


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
