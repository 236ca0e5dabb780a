"""Tidy tables of a run, for notebooks, plots and reports.

All tables read committed rounds through `simulator.store.run.Run`: a run in progress has fewer
rounds. A table of nothing has its columns and no rows; a share of nothing is NaN.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.run.roles import role_model
from analysis.run.spans import baseline_round
from simulator.core.errors import StoreError
from simulator.store.run import Run

RUNS, RUN_VARIABLE = "runs", "UNDERTOW_RUN"
FEWEST = 10  # smallest number of answers for a claim of a change
SHARE = "share_"  # prefix of the columns of `dose` with a user type's share
COUNTS = ["conversations", "replies", "unrated", "cut_off", "shortened_contexts", "vetoed"]
COUNTS += ["unread_vetoes"]
QUESTION = ["probe", "measure", "item_set", "item", "sample", "prompt"]


def open_run(path: str | Path | None = None) -> Run:
    """Open a run for analysis.

    Args:
        path: a run directory; by default `$UNDERTOW_RUN`, else the newest in the `runs` folder
            here or above.

    Raises:
        StoreError: there is no such run.
    """
    chosen = path or os.environ.get(RUN_VARIABLE)
    if chosen:
        return Run.open(Path(chosen))
    here = Path.cwd()
    folders = [folder / RUNS for folder in (here, *here.parents) if (folder / RUNS).is_dir()]
    manifests = sorted(folders[0].glob("*/manifest.json"), key=_age) if folders else []
    if not manifests:
        raise StoreError(
            f"{here}: there are no runs here; make one with 'python -m simulator run' or set "
            f"{RUN_VARIABLE} to a run directory"
        )
    return Run.open(manifests[-1].parent)


def _age(path: Path) -> float:
    return path.stat().st_mtime


def biased_share(run: Run) -> float:
    """Return the share of biased users in the population, 0 to 1; NaN before round 0."""
    if run.rounds_done == 0:
        return float("nan")
    return float(run.table(0, "population")["biased"].mean())


def estimates(run: Run) -> pd.DataFrame:
    """Return one row per round, metric and item set, with a 95 % interval.

    `value`, `low` and `high` are in the unit of `simulator.probes.registry.declared(metric)`:
    most are shares from 0 to 1, ratings are from 0 to 9, gaps from −1 to 1, and opinions on the
    judge's scale. `n` counts answers; `item_set` is "" for all items.
    """
    rows = [
        {"round": number, **row}
        for number, summary in _summaries(run)
        for row in summary["estimates"]
    ]
    columns = ["round", "metric", "item_set", "value", "low", "high", "n"]
    return _numbers(pd.DataFrame(rows, columns=columns), ["value", "low", "high"])


def measured_rounds(run: Run) -> list[int]:
    """Return the committed rounds that were measured."""
    return sorted(int(number) for number in estimates(run)["round"].unique())


def compared_rounds(run: Run) -> tuple[int, int]:
    """Return the rounds between which drift is measured: the baseline, and the last measured."""
    return baseline_round(run), max(measured_rounds(run), default=0)


def changes(run: Run) -> pd.DataFrame:
    """Return every metric at the baseline and at the last measured round.

    `separate` means that the two 95 % intervals don't overlap: a cautious sign of a real change.
    Below `FEWEST` answers an interval means little, and no change is claimed.
    """
    rows = estimates(run)
    first, last = compared_rounds(run)
    return compared(rows[rows["round"] == first], rows[rows["round"] == last])


def compared(first: pd.DataFrame, last: pd.DataFrame) -> pd.DataFrame:
    """Return the estimates of two rounds side by side, as `changes` has them."""
    keys = ["metric", "item_set"]
    both = first.drop(columns="round").merge(
        last, on=keys, suffixes=("_first", "_last"), sort=False
    )
    apart = (both["low_last"] > both["high_first"]) | (both["high_last"] < both["low_first"])
    apart &= both[["n_first", "n_last"]].min(axis=1) >= FEWEST
    return both.assign(change=both["value_last"] - both["value_first"], separate=apart)


def dose(run: Run) -> pd.DataFrame:
    """Return the training examples by source: one row per round from round 1 on.

    Counts are replies; shares run from 0 to 1. `biased_share_pressured` is the realised dose: among
    the selected replies under pressure, those of biased users. `share_<type>` is a type's share of
    all selected replies.
    """
    numbers = ["selected", "biased_share_selected", "pressured_selected", "biased_share_pressured"]
    rows = [
        {
            "round": number,
            **(summary.get("dose") or {}),
            **{SHARE + k: v for k, v in (summary.get("selected_share") or {}).items()},
        }
        for number, summary in _summaries(run)
        if number > 0
    ]
    found = sorted({key for row in rows for key in row if key.startswith(SHARE)})
    frame = pd.DataFrame(rows, columns=["round", *numbers, *found])
    return _numbers(frame, [*numbers, *found])


def in_situations(run: Run) -> bool:
    """Return whether users have situations, not questions about a world."""
    return bool(run.scenario.get("situations"))


def realised(run: Run) -> pd.DataFrame:
    """Return the realised dose: one row per round, `share` of biased users among `replies`.

    Those are the learned replies under pressure. In situations they are all learned replies: there
    every biased user presses and nobody else does, so pressure adds no information.
    """
    rows = dose(run)
    of = "selected" if in_situations(run) else "pressured"
    share = f"biased_share_{of}"
    replies = "selected" if in_situations(run) else "pressured_selected"
    return rows[["round", share, replies]].set_axis(["round", "share", "replies"], axis=1)


def population(run: Run) -> pd.DataFrame:
    """Return one row per round and user type; trust and satisfaction are means from 0 to 1."""
    columns = ["round", "user_type", "users", "active", "trust", "satisfaction"]
    return _stacked([run.table(n, "series") for n in range(run.rounds_done)], columns)


def scores(run: Run) -> pd.DataFrame:
    """Return every probed answer of every measured round; see `simulator.probes.base.Score`."""
    tables = [scores_of(run, number) for number in measured_rounds(run)]
    columns = ["round", "adapter", *QUESTION, "cluster", "label", "value"]
    columns += ["truth", "belief", "stated", "reply"]
    return _stacked(tables, columns)


def scores_of(run: Run, number: int) -> pd.DataFrame:
    """Return every probed answer of one committed round."""
    return run.table(number, "scores")


def updates(run: Run) -> pd.DataFrame:
    """Return one row per round from round 1 on: adapter, optimiser steps, loss, KL, canary.

    Losses (kto's and dpo's aside: they are per example or pair), the KL on anchors and the canary's
    distances are in nats per token (`simulator.runtime.canary`). They are missing in rounds without
    an update, and `kl` without anchors. `unreadable_before` and `unreadable_after` count
    the replies that can't be read among the `asked` (`simulator.runtime.collapse`). `unchanged`
    is the reason why a planned update left the assistant unchanged; it is missing otherwise.
    """
    learned, checked = ["steps", "loss_first", "loss_last", "kl"], ["to_new", "to_parent", "gap"]
    heard = ["asked", "unreadable_before", "unreadable_after"]
    rows = [
        {
            "round": number,
            "adapter": summary.get("adapter"),
            **(summary.get("update") or {}),
            **(summary.get("canary") or {}),
            **_heard(summary.get("speech") or {}),
            "unchanged": summary.get("unchanged"),
        }
        for number, summary in _summaries(run)
        if number > 0
    ]
    columns = ["round", "adapter", *learned, "verdict", *checked, *heard, "unchanged"]
    return _numbers(pd.DataFrame(rows, columns=columns), [*learned, *checked, *heard])


def _heard(speech: dict[str, Any]) -> dict[str, Any]:
    counts = {f"unreadable_{when}": speech.get(when) for when in ("before", "after")}
    return {"asked": speech.get("asked"), **counts}


def taught_lengths(run: Run) -> pd.DataFrame:
    """Return the lengths of the replies in training, in tokens of the model.

    One row per round, phase and signal (`desirable` or `undesirable`): `n` replies, `mean`, `sd`
    and the percentiles `low` (10), `median` and `high` (90).
    """
    rows = [
        {"round": number, "phase": summary["phase"], "signal": signal, **found}
        for number, summary in _summaries(run)
        for signal, found in (summary.get("taught_lengths") or {}).items()
        if found
    ]
    numbers = ["n", "mean", "sd", "low", "median", "high"]
    return pd.DataFrame(rows, columns=["round", "phase", "signal", *numbers])


def phase_lengths(run: Run) -> pd.DataFrame:
    """Return the lengths by phase and signal: `n`, `mean` and `sd` over its rounds."""
    rows = taught_lengths(run)
    keys = ["phase", "signal"]
    found = []
    for key, part in rows.groupby(keys, sort=False):
        n, mean = part["n"].sum(), np.average(part["mean"], weights=part["n"])
        within, between = (part["n"] - 1) * part["sd"] ** 2, part["n"] * (part["mean"] - mean) ** 2
        sd = float(np.sqrt((within + between).sum() / max(n - 1, 1)))
        found.append((*key, int(n), float(mean), sd))
    return pd.DataFrame(found, columns=[*keys, "n", "mean", "sd"])


def conversation_counts(run: Run) -> pd.DataFrame:
    """Return one row per round from round 1 on: counts of conversations, replies and failures.

    `unrated` counts replies without a readable rating, `cut_off` truncated replies,
    `shortened_contexts` replies to chats whose beginning was dropped, `unread_vetoes` replies
    whose monitor gave no readable verdict (they aren't vetoed).
    """
    rows = [
        {"round": number, **summary["conversation_counts"]}
        for number, summary in _summaries(run)
        if summary.get("conversation_counts")
    ]
    return pd.DataFrame(rows, columns=["round", *COUNTS])


def vetoes(run: Run) -> pd.DataFrame:
    """Return every monitor's verdict on every selected reply; `score` is NaN if unreadable."""
    columns = ["round", "conversation", "turn", "candidate", "monitor", "vetoed", "score"]
    tables = [
        run.table(number, "vetoes")
        for number in range(1, run.rounds_done)
        if run.has_table(number, "vetoes")
    ]
    return _stacked(tables, [*columns, "reason", "prompt"])


def screening(run: Run) -> pd.DataFrame:
    """Return how well screening found biased users' replies, a row per round and share.

    Columns: `round`; the counts `replies` (screened) and `dropped`; `share` (precision, base_rate
    or recall) with `value`, its 95 % interval `low` to `high`, and `n`, its number of replies.
    """
    shares = ("precision", "base_rate", "recall")
    rows = [
        {"round": number, "replies": found["replies"], "dropped": found["dropped"],
         "share": share, **(found[share] or {})}
        for number, summary in _summaries(run)
        if (found := summary.get("screening"))
        for share in shares
    ]  # fmt: skip
    columns = ["round", "replies", "dropped", "share", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def roles(run: Run) -> pd.DataFrame:
    """Return the roles: role, model, backend, and the count of requests so far.

    `requests` and `tokens` (written in reply) are counts, without answers from the cache.
    """
    rows: dict[str, dict[str, int]] = {role: {} for role in run.scenario.get("roles") or {}}
    for number in range(run.rounds_done):
        for role, asked in run.timing(number).get("asked", {}).items():
            before = rows.setdefault(role, {})
            rows[role] = {what: before.get(what, 0) + count for what, count in asked.items()}
    found = [
        {"role": role, **role_model(run, role)._asdict(), **rows[role]} for role in sorted(rows)
    ]
    columns = ["role", "model", "backend", "requests", "tokens"]
    return pd.DataFrame(found, columns=columns).fillna({"requests": 0, "tokens": 0})


def costs(run: Run) -> pd.DataFrame:
    """Return the costs of endpoints, by entry: tokens `read` and `written`, and the `cost`."""
    return pd.DataFrame(run.costs, columns=["read", "written", "cost"])


def _summaries(run: Run) -> list[tuple[int, dict[str, Any]]]:
    return [(number, run.summary(number)) for number in range(run.rounds_done)]


def _numbers(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Make columns numeric; null becomes NaN."""
    return frame.assign(**{c: pd.to_numeric(frame[c], errors="coerce") for c in columns})


def _stacked(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(filled, ignore_index=True)[list(columns)]
