"""How far a sweep is: the state and place of each run, and what is left, read from its folder.

So any command tells the same, whoever works on the runs.
"""

from collections.abc import Sequence
from statistics import mean
from typing import Any, Literal, NamedTuple

from rich.table import Table

from simulator.core.console import inert
from simulator.experiments.sweep_progress import short
from simulator.runtime.observers import duration
from simulator.store.sweep import Member, Sweep

STATES = ("finished", "running", "stopped", "waiting")


class Status(NamedTuple):
    """The state of one run."""

    arm: str
    settings: dict[str, Any]
    run: str
    state: str  # one of STATES
    place: str  # machine and process of one that is running
    rounds: int  # committed, round 0 aside
    planned: int
    seconds: float  # that its rounds took


def status_rows(sweep: Sweep) -> list[Status]:
    """Return the state of every run."""
    return [_status(member) for member in sweep.members]


def _status(member: Member) -> Status:
    holder = member.run.holder
    if member.finished:
        state = "finished"
    elif holder is not None:
        state = "running"
    else:
        state = "stopped" if member.run.path.exists() else "waiting"
    committed = range(member.run.rounds_done)
    seconds = sum(member.run.timing(number)["wall"] for number in committed)
    rounds = max(0, member.rounds_done)
    place = holder or ""
    return Status(
        member.arm,
        member.settings,
        member.run.path.name,
        state,
        place,
        rounds,
        member.rounds,
        seconds,
    )


def status_table(rows: Sequence[Status]) -> Table:
    """Return a table with a row for each run."""
    table = Table()
    for heading in ("arm", "settings", "run", "state", "rounds", "where"):
        justify: Literal["left", "right"] = "right" if heading == "rounds" else "left"
        table.add_column(heading, justify=justify, overflow="fold")  # names are to be copied
    for row in rows:
        settings = ", ".join(f"{short(key)} {value}" for key, value in row.settings.items())
        rounds = f"{row.rounds}/{row.planned}"
        table.add_row(*map(inert, (row.arm, settings, row.run, row.state, rounds, row.place)))
    return table


def left(rows: Sequence[Status]) -> str:
    """Return a sentence on what is left, and how long it takes at the pace so far."""
    runs = {row.run: row for row in rows}.values()  # arms may share one
    counts = [(state, sum(row.state == state for row in runs)) for state in STATES]
    told = ", ".join(f"{count} {state}" for state, count in counts if count)
    rounds = sum(row.planned - row.rounds for row in runs)
    paces = [row.seconds / (row.rounds + 1) for row in runs if row.seconds]
    if not (rounds and paces):
        return f"{len(runs)} runs: {told}"
    at_once = max(1, sum(row.state == "running" for row in runs))
    time = duration(rounds * mean(paces) / at_once)
    return f"{len(runs)} runs: {told}; {rounds} rounds left, about {time} with {at_once} at a time"
