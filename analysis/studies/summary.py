"""The results of a study as text: for the terminal, in Markdown and as JSON."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.html import visible
from analysis.metrics import metric_name
from analysis.statistics import Interval
from analysis.studies.claims import Line, Outcome, Study, answer
from analysis.studies.recommendation import Choice, Recommendation

HEADS = ("finding", "reported there", "measured here (interval)", "holds?")
NOTE = (
    "Brackets: 95 % intervals over bases (models trained apart) or runs of other seeds; with one "
    "run of each arm over what was asked, which knows nothing of how far runs differ. Every "
    "finding is judged by itself: of twenty that aren't so, one may seem to be. [V]: read in the "
    "paper's abstract, code or data; [W]: known second-hand."
)


def described(study: Study, outcome: Outcome) -> Iterator[object]:
    """Yield the output for the terminal: the answer, unfinished runs, and the tables."""
    yield visible(answer(study, outcome))
    if unfinished := unfinished_runs(study):
        yield visible(unfinished)
    yield summary_table(study, outcome.lines)
    if study.claims.recommendation:
        yield choice_table(study.claims.recommendation, outcome.choices)


def choice_table(asked: Recommendation, choices: Sequence[Choice]) -> Table:
    """Return the table of arms, those that keep the most first."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in choice_heads(asked):
        table.add_column(Text(heading))
    for choice in choices:
        table.add_row(Text(visible(choice.arm)), Text(visible(choice.written(asked))))
    return table


def choice_heads(asked: Recommendation) -> tuple[str, str]:
    """Return the headings of the table of choices."""
    return "arm", f"{metric_name(asked.kept.metric)}, against '{asked.against}'"


def unfinished_runs(study: Study) -> str:
    """Return a sentence on unfinished runs; empty if there are none."""
    planned = Counter(member.arm for member in study.sweep.members)
    lacking = Counter(member.arm for member in study.sweep.members if not member.finished)
    if not lacking:
        return ""
    each = ", ".join(f"{count} of {planned[arm]} of '{arm}'" for arm, count in lacking.items())
    return (
        f"{planned.total() - lacking.total()} of {planned.total()} runs came to their end. Left "
        f"out, with their twins in what they are compared with, are {each}: not run yet, stopped, "
        "or ended by an update that diverged."
    )


def declared(study: Study) -> str:
    """Return a sentence on when the findings were written down."""
    if study.declared_after is None:
        return "When the findings were written down isn't known."
    if not study.declared_after:
        return (
            "The findings were written down before any of these runs; those that were added after "
            "a look at earlier ones say so."
        )
    return (
        f"The findings, as they are judged, were written down when {study.declared_after} of "
        f"{len(study.sweep.members)} runs had begun."
    )


def summary_table(study: Study, lines: list[Line]) -> Table:
    """Return a line per finding."""
    table = Table(
        title=Text(visible(f"{study.sweep.name}: {study.claims.title} ({study.claims.source})")),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        caption=Text(f"{NOTE} {declared(study)}", style="dim"),
        caption_justify="left",
        show_lines=True,
    )
    for heading in HEADS:
        table.add_column(Text(heading), no_wrap=heading == HEADS[-1])
    for row in rows(lines):
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


def rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """Return the findings as numbered rows of the table."""
    return [_row(number, line) for number, line in enumerate(lines, 1)]


def _row(number: int, line: Line) -> tuple[str, ...]:
    finding, verdict = line
    measured = f"{verdict.measured}; {verdict.note}" if verdict.note else verdict.measured
    if verdict.holds == "not measured":
        measured = verdict.note
    return f"{number}. {finding.claim}", finding.reported, measured, verdict.holds


def markdown(study: Study, outcome: Outcome) -> str:
    """Return the study as a page of Markdown, the answer first."""
    claims = study.claims
    tables = [_pipes(HEADS, rows(outcome.lines))]
    if asked := claims.recommendation:
        choices = [(choice.arm, choice.written(asked)) for choice in outcome.choices]
        tables.append(_pipes(choice_heads(asked), choices))
    head = f"**{_inert(answer(study, outcome))}**"
    source = f"{_inert(claims.title)} ({_inert(claims.source)}); by {_inert(study.command)}"
    left_out = filter(None, [_inert(unfinished_runs(study))])
    note = _inert(f"{NOTE} {declared(study)}")
    return "\n\n".join([head, source, *left_out, *tables, note]) + "\n"


def _pipes(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    table = [heads, ["---"] * len(heads), *cells]
    return "\n".join("| " + " | ".join(map(_inert, row)) + " |" for row in table)


def as_json(study: Study, outcome: Outcome) -> str:
    """Return the study as one JSON object; unknown values are null."""
    finished = sum(member.finished for member in study.sweep.members)
    content = {
        "name": study.sweep.name,
        "answer": answer(study, outcome),
        "command": study.command,
        "declared_after": study.declared_after,
        "runs": {"finished": finished, "planned": len(study.sweep.members)},
        "findings": [_record(line) for line in outcome.lines],
        "choices": [_choice(choice) for choice in outcome.choices],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _record(line: Line) -> dict[str, Any]:
    finding, verdict = line
    return {
        "claim": finding.claim,
        "reported": finding.reported,
        "kind": finding.kind,
        "holds": verdict.holds,
        "measured": verdict.measured,
        "metric": verdict.metric,
        **_known(verdict.interval),
        "note": verdict.note,
    }


def _choice(choice: Choice) -> dict[str, Any]:
    intervals = {"kept": choice.kept, "lost": choice.lost, "price": choice.price}
    told = {name: _known(interval) for name, interval in intervals.items()}
    return {"arm": choice.arm, **told, "note": choice.note}


def _known(interval: Interval | None) -> dict[str, float | None]:
    numbers = interval._asdict() if interval else {}
    return {key: None if math.isnan(number) else number for key, number in numbers.items()}


def _inert(text: str) -> str:
    """Escape a cell's markup and separators."""
    escaped = {ord(c): f"\\{c}" for c in "\\`*_<>|[]!"}
    return visible(text).translate(escaped | {ord(c): " " for c in "\r\n"})
