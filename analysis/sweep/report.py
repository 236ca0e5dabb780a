"""The report of a sweep: one self-contained HTML page, the answer first."""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.html import environment
from analysis.metrics import described
from analysis.plotting import Panel, svg
from analysis.sweep import frames, plots
from analysis.sweep.frames import Comparison
from analysis.sweep.outcomes import GAPS, Outcome, main_outcome, measured
from analysis.sweep.summary import against_none, headline, percent, written
from simulator.core.files import write_result
from simulator.store.sweep import Sweep

PREDICTORS = {
    "biased_share": "the biased share of the population",
    "first_dose": "the realised dose of the first round with users, before any drift",
    "dose": "the realised dose over all rounds",
}


def write_sweep_report(sweep: Sweep, path: Path) -> None:
    """Write the report of a sweep, finished or not, as one HTML file."""
    page = environment().get_template("sweep.html.jinja").render(_content(sweep))
    write_result(path, page.encode(), sweep.path)


def _content(sweep: Sweep) -> dict[str, Any]:
    table, runs = frames.outcomes(sweep), frames.runs(sweep)
    outcomes, main = measured(sweep, table), main_outcome(sweep, table)
    compared = frames.compare(table, main.metric, main.item_set)
    return {
        "name": sweep.name,
        "headline": headline(sweep, table),
        "finished": len(runs),
        "planned": len(sweep.members),
        "bases": sorted(runs["base"].unique()),
        "over": frames.replicates(runs),
        "seeds": sorted(int(seed) for seed in runs["seed"].unique()),
        "main": main,
        "panels": _panels(table, outcomes, main, compared),
        "rows": [_row(sweep, c, runs, main) for c in compared],
        "outcomes": _by_outcome(table, outcomes),
        "trends": _trends(table, outcomes),
        "explained": _explained(table, main),
        "satisfaction": _users(table),
        "runs": runs.to_dict("records"),
        "meanings": list(
            dict.fromkeys(described(o.metric) for o in outcomes if o.metric not in GAPS)
        ),
    }


def _panels(
    table: pd.DataFrame, outcomes: list[Outcome], main: Outcome, compared: list[Comparison]
) -> list[Panel]:
    over = frames.replicates(table)
    response = partial(plots.draw_response, table=table, outcome=main)
    realised = partial(plots.draw_realised, table=table, outcome=main)
    others = partial(plots.draw_others, table=table, outcomes=outcomes)
    comparisons = partial(plots.draw_comparisons, compared=compared, outcome=main)
    draws = (
        ("response", response, RESPONSE_WORDS.format(over=over)),
        ("realised", realised, REALISED_WORDS),
        ("others", others, JUDGED_WORDS if main.judged else OTHERS_WORDS),
        ("comparisons", comparisons, COMPARISON_WORDS.format(over=over)),
    )
    return [Panel(svg(draw, name, fitted=True), name, words) for name, draw, words in draws]


def _row(sweep: Sweep, c: Comparison, runs: pd.DataFrame, main: Outcome) -> dict[str, Any]:
    own = runs[(runs["condition"] == c.condition) & (runs["biased_share"] == c.biased_share)]
    entities = frames.entity_interval(
        sweep, c.condition, c.biased_share, main.metric, main.item_set
    )
    return {
        "condition": c.condition,
        "share": percent(c.biased_share),
        "runs": c.runs,
        "dose": float(own["dose"].mean()),
        "level": written(main.metric, c.level),
        "difference": against_none(main.metric, c),
        "entities": against_none(main.metric, c, entities),
        "shown": c.difference.excludes_zero,
    }


def _by_outcome(table: pd.DataFrame, outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return a table per condition, with every outcome at every share."""
    found = []
    for name in table["condition"].unique():
        own = table[table["condition"] == name]
        rows = [
            {
                "name": outcome.name,
                "cells": {
                    percent(c.biased_share): written(outcome.metric, c.level)
                    for c in frames.compare(own, outcome.metric, outcome.item_set)
                },
            }
            for outcome in outcomes
        ]
        shares = [percent(float(share)) for share in sorted(own["biased_share"].unique())]
        found.append({"condition": name, "shares": shares, "rows": rows})
    return found


def _trends(table: pd.DataFrame, outcomes: list[Outcome]) -> list[dict[str, Any]]:
    found = []
    for name in table["condition"].unique():
        for outcome in (o for o in outcomes if o.metric == "honesty" or o.judged):
            test = frames.trend(table, name, outcome.metric, outcome.item_set)
            if test is not None:
                told = {"falls": test.falls, "p": test.p}
                found.append({"condition": name, "name": outcome.name, **told})
    return found


def _explained(table: pd.DataFrame, main: Outcome) -> list[dict[str, Any]]:
    found = frames.dose_explains(table, main.metric, main.item_set)
    words = [PREDICTORS[name] for name in found["predictor"]]
    return [
        {"words": told, "value": value, "low": low, "high": high}
        for told, value, low, high in zip(
            words, found["value"], found["low"], found["high"], strict=True
        )
    ]


def _users(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return trust and satisfaction of each user type in the first condition."""
    own = table[table["condition"] == table["condition"].iloc[0]]
    names = [m for m in own["metric"].unique() if m.startswith(("trust_", "satisfaction_"))]
    return [
        {
            "name": name.replace("_", " of ", 1) + " users",
            "cells": {
                percent(c.biased_share): written(name, c.level) for c in frames.compare(own, name)
            },
        }
        for name in names
    ]


RESPONSE_WORDS = (
    "Each dot is a run, each line the mean over {over}s. The horizontal axis is stretched where "
    "shares are small. Compare a point with the one at 0 %: that is what learning from benign "
    "users does."
)
REALISED_WORDS = (
    "The same runs against what they were given to learn from. If runs of different arms fall on "
    "one curve here but not on the left, the mix of what is learned matters, not the mix of users. "
    "The dose is partly a consequence: an assistant that grants more wishes has more of them "
    "selected."
)
OTHERS_WORDS = (
    "While true beliefs stay high and honesty falls, the assistant lies: it still knows the truth. "
    "If its rating of its own honesty doesn't move, its own word doesn't reveal the drift."
)
JUDGED_WORDS = (
    "All scales of the judge. Its numbers are a model's opinion of replies to set prompts: compare "
    "changes, not levels."
)
COMPARISON_WORDS = (
    "Each row compares an arm with 0 % biased users, {over} by {over}: of its own, or of the first "
    "arm where it has none. An interval that doesn't touch the line is a difference that another "
    "{over} would be expected to show."
)
