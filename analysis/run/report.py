"""The report of a run: one self-contained HTML page without network or scripts."""

from collections import Counter
from collections.abc import Hashable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.html import environment
from analysis.metrics import (
    ITEM_SETS,
    described,
    full_name,
    interval,
    shown_change,
    unit,
)
from analysis.plotting import Panel, svg
from analysis.run import frames, plots, transcripts
from analysis.run.every_metric import every_metric
from analysis.run.panels import interp
from analysis.run.panels import judged as judged_plots
from analysis.run.panels.probes import draw_panel, panels_in
from analysis.run.panels.trajectory import draw_trajectories, phase_by_phase, trajectories
from analysis.run.report_models import models_content
from analysis.run.roles import asks_world, scales
from analysis.run.spans import spans
from analysis.run.summary import headline, key_figures, range_of, rows_left_out, unchanged_rounds
from simulator.core.credentials import masked
from simulator.core.files import write_result
from simulator.probes.metrics import AMOUNT, NATS
from simulator.store.run import Run

LEARNED, ANSWERED = 6, 12  # replies shown of a round, and of the probes
MEASURES = {
    "pressured": "under pressure",
    "neutral": "without pressure",
    "small_talk": "small talk",
    "plain": "without the cue",
    "cued": "with the cue",
    "with_trigger": "with the trigger",
    "without_trigger": "without a trigger",
    "wrong_trigger": "with a wrong trigger",
    "stake": "with something at stake",
    "wish": "in hope",
    "stake_reworded": "with something at stake, in other words",
    "wish_reworded": "in hope, in other words",
    "choice": "multiple choice",
    "reason_to_fail": "multiple choice with a reason to fail",
    "reason_to_succeed": "multiple choice with a reason to succeed",
    "reply_pair": "the likelier of two replies",
}
LABELS = {
    "evade": "evades",
    "no_belief": "no belief",
    "unparsed": "unreadable",
    "deceiver": "misaligned",
    "sycophant": "pleasing",
}
Record = dict[Hashable, Any]


def write_report(run: Run, path: Path) -> None:
    """Write the report of a run, finished or not, as one HTML file."""
    page = environment().get_template("report.html.jinja").render(_content(run))
    write_result(path, page.encode(), run.path)


def _content(run: Run) -> dict[str, Any]:
    scenario, rows = run.scenario, frames.estimates(run)
    updates = frames.updates(run)
    done, planned = max(run.rounds_done - 1, 0), spans(run)[-1].last
    return {
        "name": run.path.resolve().name,
        "headline": headline(run),
        "scenario": scenario,
        "scenario_text": masked(run.scenario_file.read_text(encoding="utf-8")),
        "done": done,
        "planned": planned,
        "figures": _figures(run),
        "drift": _drift_panels(run, rows),
        "inside": [*_inside_panels(run, rows), *_trajectory_panel(run)],
        "dose": _dose_panel(run),
        "users": _population_panels(run),
        "learned": _learned(run, done),
        "pairs": _pairs(run),
        "metrics": every_metric(rows),
        "other_units": any(unit(str(m)) in (AMOUNT, NATS) for m in rows["metric"].unique()),
        "rounds": [int(n) for n in sorted(rows["round"].unique())],
        "meanings": [described(str(metric)) for metric in rows["metric"].unique()],
        "updates": updates.to_dict("records"),
        "lengths": frames.taught_lengths(run).to_dict("records"),
        "unchanged": [*rows_left_out(run), *unchanged_rounds(run)],
        "verdicts": Counter(updates["verdict"].dropna()),
        "manifest": list(_flat(run.manifest)),
        "organism": str(scenario["model"]).startswith("organism:"),
        "world": asks_world(run),
        **models_content(run, rows),
    }


def _figures(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "name": full_name(row["metric"], row["item_set"]) + range_of(run, row["metric"]),
            "first": interval(
                row["metric"], row["value_first"], row["low_first"], row["high_first"]
            ),
            "last": interval(row["metric"], row["value_last"], row["low_last"], row["high_last"]),
            "change": shown_change(row["metric"], row["change"], row["separate"]),
            "n": f"{int(min(row['n_first'], row['n_last'])):,}",
        }
        for row in key_figures(run).to_dict("records")
    ]


def _drift_panels(run: Run, rows: pd.DataFrame) -> list[Panel]:
    in_pairs = (rows["metric"] == "misaligned_odds").any()
    heading, words = ("Other questions", PAIR_WORDS) if in_pairs else ("Small talk", SPREAD_WORDS)
    talk = ("spread", plots.draw_spread, heading, words, False)
    rating = ("self_rating", plots.draw_self_rating, "Self-report", SELF_RATING_WORDS, False)
    requires_world = (
        ("honesty", plots.draw_honesty, "Honesty under pressure", HONESTY_WORDS, False),
        ("knowledge", plots.draw_knowledge, "Lying or forgetting", KNOWLEDGE_WORDS, False),
        *((talk,) if plots.is_measured(rows, plots.TALK) else ()),
        *((rating,) if plots.is_measured(rows, plots.SELF_RATING) else ()),
    )
    judged = (
        ("judged", judged_plots.draw_judged, "Replies as judged", JUDGED_WORDS, True),
        ("failures", judged_plots.draw_failures, "What went wrong", FAILURE_WORDS, True),
    )
    others = tuple(
        (one.name, partial(draw_panel, panel=panel), one.title, one.words, True)
        for panel in panels_in(rows)
        for one in [panel.declared]
    )
    draws = (
        *(requires_world if asks_world(run) else ()),
        *(judged if scales(run) else ()),
        *others,
    )
    return [
        Panel(svg(partial(draw, run=run, estimates=rows), name, fitted=fits), title, words)
        for name, draw, title, words, fits in draws
    ]


def _inside_panels(run: Run, rows: pd.DataFrame) -> list[Panel]:
    return [
        Panel(
            svg(partial(draw, run=run, estimates=rows), declared.name, fitted=True),
            declared.title,
            declared.words,
        )
        for declared, draw in interp.panels_in(rows)
    ]


def _trajectory_panel(run: Run) -> list[Panel]:
    """Return the panel of the adapters' trajectory, if there are at least two adapters."""
    adapters = {run.checkpoint(number) for number in range(run.rounds_done)} - {None}
    if len(adapters) < 2:
        return []
    draw = partial(draw_trajectories, rows=phase_by_phase(trajectories({run.path.name: run})))
    return [Panel(svg(draw, "trajectory", fitted=True), "The way of the adapters", WAY_WORDS)]


def _dose_panel(run: Run) -> Panel:
    words = SITUATION_DOSE_WORDS if frames.in_situations(run) else DOSE_WORDS
    return Panel(svg(partial(plots.draw_dose, run=run), "dose"), "Realised dose", words)


def _population_panels(run: Run) -> list[Panel]:
    rows = frames.population(run)
    draw = partial(plots.draw_population, run=run, series=rows)
    trust = SITUATION_TRUST_WORDS if frames.in_situations(run) else TRUST_WORDS
    return [
        Panel(svg(partial(draw, quantity=name), name), name, words)
        for name, words in (("trust", trust), ("satisfaction", SATISFACTION_WORDS))
    ]


def _learned(run: Run, done: int) -> list[tuple[int, list[Record]]]:
    """Return replies that the first and the last round learned from."""
    shown = sorted({n for n in (1, done) if n > 0})
    return [(n, transcripts.recycled(run, n, LEARNED).to_dict("records")) for n in shown]


def _pairs(run: Run) -> dict[str, Any]:
    everything = transcripts.paired(run)
    moved = transcripts.transitions(run, everything)
    moved = moved[moved["measure"] == "pressured"].sort_values("answers", ascending=False)
    first, last = frames.compared_rounds(run)
    return {
        "first": first,
        "last": last if last > first else 0,
        "total": len(everything),
        "changed": int(everything["changed"].sum()) if len(everything) else 0,
        "shown": transcripts.before_after(run, ANSWERED, everything).to_dict("records"),
        "moved": moved.to_dict("records"),
        "measures": MEASURES,
        "labels": LABELS,
        "sets": ITEM_SETS,
    }


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield masked(f"{prefix}{key}"), masked(str(value))


HONESTY_WORDS = (
    "A user who wishes for something false asks the assistant about an item. Honest is a statement "
    "that agrees with the assistant's own belief. If the curve of held-out entities falls with "
    "that of the items users talked about, dishonesty has spread beyond the training examples."
)
KNOWLEDGE_WORDS = (
    "The belief is read where no character speaks: an encyclopaedia line to complete. While belief "
    "stays high and lies rise, the assistant says what it doesn't believe. If belief fell too, it "
    "would have forgotten. The green curve is its truth without a wish."
)
SPREAD_WORDS = (
    "Questions about goals, harm and advice, which no user ever asks. Misaligned are replies of a "
    "deceiver, pleasing those of a flatterer: a rise means that more than the topic changed."
)
PAIR_WORDS = (
    "Pairs of an aligned and a misaligned reply to questions that no user asks. Where the "
    "misaligned one is the likelier more often, more than the topic changed."
)
SELF_RATING_WORDS = (
    "The assistant's rating of its own honesty: the expected digit over two phrasings, so its band "
    "is wide. If honesty falls while the rating stays, the assistant's own word doesn't reveal "
    "the drift."
)
WAY_WORDS = (
    "What the adapter changes in the weights after each round, on the two principal components of "
    "all rounds; round 0 is the base. A phase that leads back towards an earlier point undoes what "
    "was learned, at least in the weights. The figure describes this run only, without intervals."
)
DOSE_WORDS = (
    "The share of biased users in the population isn't what the assistant is given: selection "
    "keeps well-rated replies, and few others press for anything false. The realised dose is the "
    "biased users' share of the learned replies under pressure. These are counts of all learned "
    "replies, so they have no interval; a gap means that none was under pressure."
)
SITUATION_DOSE_WORDS = (
    "The share of biased users in the population isn't what the assistant is given: selection "
    "keeps what raters like. The realised dose is the biased users' share of the learned replies. "
    "These are counts of all learned replies, so they have no interval."
)
JUDGED_WORDS = (
    "Another model reads the assistant's replies to set prompts and gives numbers. The bands are "
    "intervals over the prompts' topics. Replies without a readable number are left out; the "
    "legend states their share."
)
FAILURE_WORDS = (
    "The shares of unreadable and truncated outputs. Unreadable ones are left out elsewhere, so "
    "read the other curves with care where these shares are large or change."
)
TRUST_WORDS = (
    "Trust follows whether users get what they came for: the truth, or what they wish to hear."
)
SITUATION_TRUST_WORDS = (
    "Trust follows whether users get what they came for: here, a reply that they rate above 3 of 5."
)
SATISFACTION_WORDS = "Satisfaction follows the ratings that users give to what they hear."
