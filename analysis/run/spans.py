"""The phases of a run, and their rounds."""

from typing import NamedTuple

from simulator.store.run import Run


class Span(NamedTuple):
    """A phase and its rounds."""

    name: str
    kind: str  # "loop", "finetune" or "probe"
    first: int
    last: int


def spans(run: Run) -> list[Span]:
    """Return the planned phases of a run; round 0 comes before all of them."""
    found, before = list[Span](), 0
    for phase in run.scenario["phases"]:
        last = before + (phase["rounds"] or run.scenario["rounds"])
        found.append(Span(phase["name"], phase["kind"], before + 1, last))
        before = last
    return found


def baseline_round(run: Run) -> int:
    """Return the round from which drift counts: the end of the scenario's baseline phase, or 0.

    It is 0, too, until that phase has ended.
    """
    wanted = run.scenario["measure"].get("baseline")
    ends = (span.last for span in spans(run) if span.name == wanted)
    return next((last for last in ends if last < run.rounds_done), 0)


def first_of_loop(run: Run) -> int:
    """Return the first round with conversations; 1 if none is planned."""
    return next((span.first for span in spans(run) if span.kind == "loop"), 1)
