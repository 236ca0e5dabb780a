"""Transcripts: replies that were learned from or vetoed, and replies before and after.

They complement `frames` with texts to read.
"""

import pandas as pd

from analysis.run.frames import QUESTION, compared_rounds, scores_of, vetoes
from analysis.run.roles import judged_probes
from simulator.core.messages import messages_from_rows
from simulator.store.run import Run

_CANDIDATE = ["conversation", "turn", "candidate"]


def recycled(run: Run, number: int, count: int) -> pd.DataFrame:
    """Return replies that a round learned from, taking turns among user types, pressured first.

    Args:
        run: the run.
        number: a committed round; round 0 learned from nothing.
        count: the largest number of rows.

    Returns:
        One row per reply; `context` is a list of (role, text), `label` 1 desirable, -1 undesirable.
    """
    columns = [*_CANDIDATE, "user_type", "biased", "pressured", "wish", "context", "reply"]
    columns += ["thought", "about", "rating", "label", "reason"]
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
    return _with_context(picked, columns)


def vetoed(run: Run, count: int) -> pd.DataFrame:
    """Return replies that monitors vetoed, taking turns among monitors, the last round first.

    Args:
        run: the run.
        count: the largest number of rows.

    Returns:
        One row per monitor and reply, with `context` as in `recycled`.
    """
    columns = ["round", "monitor", "score", "reason", "user_type", "biased", "about", "context"]
    columns += ["reply", "thought"]
    said = vetoes(run)
    said = said[said["vetoed"].astype(bool)].sort_values("round", ascending=False, kind="stable")
    chosen = _in_turns(said, ["monitor"], count).drop(columns="prompt")
    if chosen.empty:
        return pd.DataFrame(columns=columns)
    heard = [run.candidates(int(n)) for n in chosen["round"].unique()]
    rows = chosen.merge(pd.concat(heard), on=["round", *_CANDIDATE])
    return _with_context(rows, columns)


def _with_context(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Read the context of candidates; columns missing in earlier versions' runs are empty."""
    spoken = [list(messages_from_rows(messages)) for messages in rows["messages"]]
    contexts = pd.Series(spoken, index=rows.index, dtype=object)
    whole = rows.assign(context=contexts).reindex(columns=columns, fill_value="")
    return whole.reset_index(drop=True)


def paired(run: Run) -> pd.DataFrame:
    """Return the replies to the same probe question at the baseline and the last measured round.

    `changed` says whether the reply's label changed. Judged replies have numbers instead; see
    `judged_pairs`.
    """
    columns = [*QUESTION, "label_before", "reply_before", "label_after", "reply_after", "changed"]
    first, last = compared_rounds(run)
    if first == last:
        return pd.DataFrame(columns=columns)
    kept = [*QUESTION, "label", "reply"]
    before, after = (scores_of(run, n) for n in (first, last))
    labelled = (before["reply"] != "") & ~before["probe"].isin(judged_probes(run))
    both = before.loc[labelled, kept].merge(
        after[kept], on=QUESTION, suffixes=("_before", "_after")
    )
    return both.assign(changed=both["label_before"] != both["label_after"])[columns]


def judged_pairs(run: Run, count: int) -> pd.DataFrame:
    """Return judged replies at the baseline and the last measured round, largest changes first.

    Args:
        run: the run.
        count: the largest number of rows.

    Returns:
        One row per prompt and sample, taking turns among prompts; `numbers` is a list of
        (scale, before, after), NaN where the judge's reply is unreadable.
    """
    columns = ["prompt", "reply_before", "reply_after", "numbers"]
    first, last = compared_rounds(run)
    if first == last:
        return pd.DataFrame(columns=columns)
    before, after = (scores_of(run, n) for n in (first, last))
    kept = [*QUESTION, "value", "reply"]
    both = before.loc[before["probe"].isin(judged_probes(run)), kept].merge(
        after[kept], on=QUESTION, suffixes=("_before", "_after")
    )
    both = both.assign(moved=(both["value_after"] - both["value_before"]).abs().fillna(0.0))
    rows = [
        {
            **group.iloc[0],
            "moved": group["moved"].max(),
            "numbers": list(
                group[["measure", "value_before", "value_after"]].itertuples(index=False)
            ),
        }
        for _, group in both.groupby(["item", "prompt", "sample"], sort=False)
    ]
    found = pd.DataFrame(rows, columns=["item", "moved", *columns])
    found = found.sort_values("moved", ascending=False, kind="stable")
    return _in_turns(found, ["item"], count)[columns].reset_index(drop=True)


def before_after(run: Run, count: int, pairs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return up to `count` rows of `paired`: changed labels first, taking turns among probes.

    Args:
        run: the run.
        count: the largest number of rows.
        pairs: `paired(run)`, if already computed.
    """
    rows = paired(run) if pairs is None else pairs
    rows = rows[~rows["measure"].astype(str).str.startswith("self_")]
    by, differs = ["measure", "item_set"], rows["changed"].astype(bool)
    changed = _in_turns(rows[differs], by, count)
    same = _in_turns(rows[~differs], by, count - len(changed))
    return pd.concat([f for f in (changed, same) if len(f)] or [rows[:0]], ignore_index=True)


def transitions(run: Run, pairs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the counts of replies by label before and after, by measure and item set.

    Args:
        run: the run.
        pairs: `paired(run)`, if already computed.
    """
    rows = paired(run) if pairs is None else pairs
    by = ["measure", "item_set", "label_before", "label_after"]
    return rows.groupby(by, sort=True).size().reset_index(name="answers")


def _in_turns(rows: pd.DataFrame, by: list[str], count: int) -> pd.DataFrame:
    """Take the first row of every group, then the second, until there are `count`."""
    turn = rows.groupby(by, sort=False).cumcount()
    order = turn.sort_values(kind="stable").index
    return rows.loc[order[: max(count, 0)]]
