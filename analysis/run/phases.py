"""The phases of a run, and their rounds."""

from typing import NamedTuple

from analysis.run import frames
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


def phases_so_far(run: Run, done: int) -> str:
    """Describe the phases of a run up to round `done`, and its users."""
    course = spans(run)
    users = f"{100 * frames.biased_share(run):.3g} % biased users{_control(run)}"
    if len(course) == 1 and course[0].kind == "loop":
        return f"{_rounds(done, course[0].last)} with {users}"
    begun = [span for span in course if span.first <= done]
    through = ", ".join(f"{span.name} ({_played(span, done)})" for span in begun)
    talks = any(span.kind == "loop" for span in begun)
    return f"{through}, with {users}" if talks else through


def _played(span: Span, done: int) -> str:
    before = span.first - 1
    return _rounds(min(done, span.last) - before, span.last - before)


def _rounds(done: int, planned: int) -> str:
    count = f"{done}" if done >= planned else f"{done} of {planned}"
    return f"{count} round{'' if count == '1' else 's'}"


def _control(run: Run) -> str:
    nothing = run.scenario["learner"]["kind"] == "none"
    return " and no learning" if nothing else ""
