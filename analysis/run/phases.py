"""The phases of a run in words."""

from analysis.run import frames
from analysis.run.spans import Span, spans
from simulator.store.run import Run


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
