"""The reports of a study: HTML, Markdown and JSON."""

from functools import partial
from pathlib import Path
from typing import Any

from analysis.html import environment
from analysis.metrics import described
from analysis.plotting import Panel, svg
from analysis.studies import plots
from analysis.studies.claims import Line, Outcome, Study, answer
from analysis.studies.findings import Finding
from analysis.studies.quantities import Measure
from analysis.studies.summary import (
    HEADS,
    NOTE,
    as_json,
    choice_heads,
    declared,
    markdown,
    rows,
    unfinished_runs,
)
from simulator.core.files import write_result


def write_study(study: Study, outcome: Outcome, page: Path | None = None) -> list[Path]:
    """Write page, Markdown and JSON, and return their paths.

    Args:
        study: the study, its runs finished or not.
        outcome: its results.
        page: the HTML file, beside which the others go; by default in the study's folder.
    """
    html = environment().get_template("study.html.jinja").render(_content(study, outcome))
    page = page or study.path / "study.html"
    written = {
        page: html,
        page.with_suffix(".md"): markdown(study, outcome),
        page.with_suffix(".json"): as_json(study, outcome),
    }
    for path, text in written.items():
        write_result(path, text.encode(), study.path)
    return list(written)


def _content(study: Study, outcome: Outcome) -> dict[str, Any]:
    claims, lines = study.claims, outcome.lines
    asked = [quantity for line in lines for _, quantity in line.finding.quantities()]
    advised = claims.recommendation
    return {
        "name": study.sweep.name,
        "answer": answer(study, outcome),
        "claims": claims,
        "command": study.command,
        "unfinished": unfinished_runs(study),
        "heads": HEADS,
        "rows": rows(lines),
        "note": f"{NOTE} {declared(study)}",
        "choice_heads": choice_heads(advised) if advised else (),
        "choices": [(c.arm, c.written(advised)) for c in outcome.choices] if advised else [],
        "panels": _panels(study, lines),
        "meanings": list(dict.fromkeys(described(one.metric) for one in asked)),
        "runs": [
            {"arm": m.arm, "settings": m.settings, "run": m.run.path.name, "finished": m.finished}
            for m in study.sweep.members
        ],
    }


def _panels(study: Study, lines: list[Line]) -> list[Panel]:
    measures = _main_measures(lines[0].finding)
    levels = partial(plots.draw_levels, sweep=study.sweep, measures=measures)
    course = partial(plots.draw_course, sweep=study.sweep, measures=measures)
    several = len(plots.conditions(study.sweep)) > 1
    draws = (
        ("findings", partial(plots.draw_findings, lines=lines), FINDING_WORDS),
        *([("levels", levels, LEVEL_WORDS)] if several else []),
        ("course", course, COURSE_WORDS),
    )
    return [Panel(svg(draw, name, fitted=True), name, words) for name, draw, words in draws]


def _main_measures(finding: Finding) -> dict[str, Measure]:
    """Return the main metric of the question, by arm, as arms may have different items."""
    asked = [quantity for _, quantity in finding.quantities()]
    same = [quantity for quantity in asked if quantity.metric == asked[0].metric]
    return {one.arm: Measure(metric=one.metric, item_set=one.item_set) for one in reversed(same)}


FINDING_WORDS = (
    "The findings of the table that compare shares, with their intervals. Green triangles hold, "
    "orange dots are the opposite, blue squares not shown."
)
LEVEL_WORDS = (
    "What the question is about, after the last round: each dot a base, over its seeds, or with "
    "one base a run. Where arms have items of their own, those of the first finding."
)
COURSE_WORDS = (
    "The same on the way, for the arms of the first finding: means over bases, or with one base "
    "over runs."
)
