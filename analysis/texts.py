"""What was said: replies that were learned from or vetoed, and replies before and after.

Counterpart of `frames`, for reading rather than for counting.
"""

import json

import pandas as pd

from analysis.frames import QUESTION, measured_rounds, scores_of
from simulator.store import Run

_CANDIDATE = ["conversation", "turn", "candidate"]


def recycled(run: Run, number: int, count: int) -> pd.DataFrame:
    """Returns replies that a round learned from, taking turns among user types, pressured first.

    Args:
        run: the run.
        number: a committed round; round 0 learned from nothing.
        count: how many at most.

    Returns:
        One row per reply; `context` is a list of (role, text), `label` 1 to follow, -1 to avoid.
    """
    columns = [*_CANDIDATE, "user_type", "biased", "pressured", "wish", "context", "reply"]
    columns += ["rating", "label", "reason"]
    if not 0 < number < run.rounds_done:
        return pd.DataFrame(columns=columns)
    decided = run.table(number, "selection")
    chosen = decided.loc[decided["label"] != 0, [*_CANDIDATE, "label", "reason"]]
    said = run.candidates(number)
    if said.empty or chosen.empty:
        return pd.DataFrame(columns=columns)
    rows = said.merge(chosen, on=_CANDIDATE)
    picked = _in_turns(
        rows.sort_values("pressured", ascending=False, kind="stable"),
        ["pressured", "user_type"],
        count,
    )
    spoken = [[(str(role), str(text)) for role, text in json.loads(m)] for m in picked["messages"]]
    contexts = pd.Series(spoken, index=picked.index, dtype=object)
    return picked.assign(context=contexts)[columns].reset_index(drop=True)


def paired(run: Run) -> pd.DataFrame:
    """Returns the replies to the same probe question at round 0 and at the last measured round.

    `changed` tells whether the reply's label changed.
    """
    columns = [*QUESTION, "label_before", "reply_before", "label_after", "reply_after", "changed"]
    measured = measured_rounds(run)
    if len(measured) < 2:
        return pd.DataFrame(columns=columns)
    kept = [*QUESTION, "label", "reply"]
    before, after = (scores_of(run, n) for n in (measured[0], measured[-1]))
    both = before.loc[before["reply"] != "", kept].merge(
        after[kept], on=QUESTION, suffixes=("_before", "_after")
    )
    return both.assign(changed=both["label_before"] != both["label_after"])[columns]


def before_after(run: Run, count: int, pairs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Returns up to `count` rows of `paired`: changed labels first, taking turns among probes.

    Args:
        run: the run.
        count: how many at most.
        pairs: `paired(run)`, where it is at hand.
    """
    rows = paired(run) if pairs is None else pairs
    rows = rows[~rows["measure"].astype(str).str.startswith("self_")]
    by, differs = ["measure", "item_set"], rows["changed"].astype(bool)
    changed = _in_turns(rows[differs], by, count)
    same = _in_turns(rows[~differs], by, count - len(changed))
    return pd.concat([f for f in (changed, same) if len(f)] or [rows[:0]], ignore_index=True)


def transitions(run: Run, pairs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Returns how many replies went from which label to which, by measure and item set.

    Args:
        run: the run.
        pairs: `paired(run)`, where it is at hand.
    """
    rows = paired(run) if pairs is None else pairs
    by = ["measure", "item_set", "label_before", "label_after"]
    return rows.groupby(by, sort=True).size().reset_index(name="answers")


def _in_turns(rows: pd.DataFrame, by: list[str], count: int) -> pd.DataFrame:
    """Takes the first row of every group, then the second, until there are `count`."""
    turn = rows.groupby(by, sort=False).cumcount()
    order = turn.sort_values(kind="stable").index
    return rows.loc[order[: max(count, 0)]]
