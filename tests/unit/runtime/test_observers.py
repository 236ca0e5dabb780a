"""Progress: one line a round where there is no terminal, and what is left at the pace so far."""

import io
import math
from collections.abc import Iterator

import pandas as pd
import pytest
from rich.console import Console

from simulator.core import console
from simulator.core.progress import Planned, Progress, Task
from simulator.probes.estimates import Estimate
from simulator.runtime import observers
from simulator.runtime.observers import (
    LineProgress,
    LiveProgress,
    Pace,
    Silent,
    duration,
    open_observer,
)
from simulator.runtime.round_tables import RoundRecord


def measured(number: int, **honesty: float) -> RoundRecord:
    """A round that measured honesty in these item sets, and something else."""
    found = [Estimate("honesty", name, value, 0, 1, 6) for name, value in honesty.items()]
    other = Estimate("belief", "used", 0.5, 0, 1, 6)
    return RoundRecord(number, "loop", None, pd.DataFrame(), [other, *found])


class Clock:
    """Tells the time that a test has set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_line_a_round_with_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = LineProgress(8, clock)
    for number, seconds in ((0, 9), (1, 12), (2, 14)):
        progress.stage(number, "conversations")
        clock.now += seconds
        progress.round(measured(number, used=0.62, heldout=0.584, ood=1.0))
    shown = "honest under pressure .62 used, .58 held out, 1.00 new domains"
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "conversations of round 0",
        f"round 0 of 8: {shown}; 9 s",
        f"round 1 of 8: {shown}; 12 s, about 84 s left",
        f"round 2 of 8: {shown}; 14 s, about 78 s left",
    ]


def test_the_last_line_has_nothing_left_and_what_was_not_measured_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = LineProgress(2, clock)
    for number in (1, 2):
        clock.now += 240
        progress.round(measured(number, used=math.nan))
    assert capsys.readouterr().err.splitlines() == [
        "round 1 of 2: 4 min, about 4 min left",
        "round 2 of 2: 4 min",
    ]


def test_long_lines_are_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    names = {f"a set with a long name, number {n}": 0.5 for n in range(20)}
    LineProgress(1).round(measured(1, **names))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_pace_leaves_out_the_loading_of_the_model() -> None:
    clock = Clock()
    pace = Pace(5, clock)
    clock.now += 60  # loading, and round 3 of a resumed run
    assert pace.left() is None
    assert pace.committed(3) == 60
    assert pace.left() == 120  # there is nothing better to go by
    clock.now += 10
    pace.committed(4)
    assert pace.left() == 10
    clock.now += 4
    assert pace.left() == 6
    clock.now += 100
    assert pace.left() == 0  # a round that takes longer is never less than nothing


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3000, "50 min"), (9000, "2.5 h")],
)
def test_times_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """A terminal in stderr's place."""
    screen = io.StringIO()
    monkeypatch.setattr(
        observers, "STDERR", Console(file=screen, force_terminal=True, width=200, _environ={})
    )
    yield screen


def test_a_terminal_has_a_bar_that_says_what_is_left(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(observers, "Pace", lambda rounds: Pace(rounds, clock))
    with open_observer(8) as observer:
        assert isinstance(observer, LiveProgress)
        for number in (0, 1):
            observer.stage(number, "conversations")
            clock.now += 12
            observer.round(measured(number, used=0.62))
    shown = terminal.getvalue()
    assert "round 1: conversations" in shown
    assert "1/8 rounds" in shown
    assert "about 84 s left" in shown
    assert "honest under pressure .62 used" in shown


def test_without_a_terminal_there_are_lines() -> None:
    assert not console.STDERR.is_terminal
    with open_observer(8) as observer:
        assert isinstance(observer, LineProgress)


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    observer = Silent()
    observer.stage(0, "probes")
    observer.progress(Progress())
    observer.round(measured(0, used=0.62))
    assert capsys.readouterr() == ("", "")


# Inside a round


def stage_of(progress: Progress, stage: float, later: float) -> Progress:
    progress.enter(lambda: Planned(stage, later))
    return progress


def test_what_is_done_inside_a_round_is_told_every_ten_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines, progress = LineProgress(2, clock), Progress(clock)
    progress.listener = lambda: lines.progress(progress)
    lines.stage(0, "loading the model")
    clock.now += 3
    lines.stage(0, "probes")
    stage_of(progress, 1000, 2000)
    with progress.doing(Task("replies", 50, 1000, tokens=1000)):
        for _ in range(25):
            clock.now += 1
            progress.wrote(20)
            progress.answered(1)
    assert capsys.readouterr().err.splitlines() == [
        "loading the model",
        "probes of round 0: 6 of 50 replies, 20 tokens/s, about 43 s left, 2 min for the run",
        "probes of round 0: 16 of 50 replies, 20 tokens/s, about 33 s left, 2 min for the run",
    ]


def test_a_stage_is_told_at_once_if_nothing_was_told_for_long(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines = LineProgress(2, clock)
    lines.stage(0, "loading the model")
    clock.now += 11
    lines.stage(0, "probes")
    clock.now += 1
    lines.stage(1, "update")
    assert capsys.readouterr().err.splitlines() == ["loading the model", "probes of round 0"]


def test_the_run_is_told_by_its_rounds_as_soon_as_there_are_some(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines, progress = LineProgress(3, clock), Progress(clock)
    progress.listener = lambda: lines.progress(progress)
    clock.now += 20
    lines.round(measured(1))
    stage_of(progress, 0, 1e9)  # a plan that is far off
    task = Task("steps", 4, 400, tokens=400)
    with progress.doing(task):
        clock.now += 10
        progress.wrote(200)
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == ": 0 of 4 steps, 20 tokens/s, about 10 s left, 30 s for the run"


def test_a_terminal_shows_what_is_done_inside_a_round(terminal: io.StringIO) -> None:
    progress = Progress()
    with open_observer(8) as observer:
        progress.listener = lambda: observer.progress(progress)
        observer.stage(0, "probes")
        stage_of(progress, 100, 0)
        with progress.doing(Task("requests", 100, 100)):
            progress.answered(30)
    assert "round 0: probes" in terminal.getvalue()
    assert "0 of 100 requests" in terminal.getvalue()
