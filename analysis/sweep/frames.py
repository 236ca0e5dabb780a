"""Tidy tables of a sweep: every run, its outcomes, and the conditions compared over bases.

A condition is an arm with the values of its axes, except biased share, base and seed. A dose is
compared with biased share 0 in its own condition, or, for a control without one, in the first
condition of the sweep. It isn't compared with round 0, as learning from benign users also causes
drift.
"""

import os
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis import statistics
from analysis.metrics import judged_scale
from analysis.run import frames
from analysis.run.spans import first_of_loop
from analysis.statistics import Interval
from simulator.core.errors import StoreError
from simulator.store.run import Run
from simulator.store.sweep import Member, Sweep

SWEEP_VARIABLE, DEFAULT = "UNDERTOW_SWEEP", Path("sweeps/dose_response")
SHORTHANDS = ("biased_frac", "seed", "base")
OVERCLAIM, CONVERSATION_GAP = "overclaim", "conversation_gap"
SCREENED = ("precision", "base_rate", "recall")  # of screening, over all rounds so far
OF_USERS = ("trust", "satisfaction")  # of all users, and of each type


def open_sweep(path: str | Path | None = None) -> Sweep:
    """Open a sweep for analysis; runs that aren't finished are left out of every table.

    Args:
        path: a sweep's folder; by default `$UNDERTOW_SWEEP`, else `sweeps/dose_response` here or
            above.

    Raises:
        StoreError: it isn't a sweep, or none of its runs is finished.
    """
    chosen = path or os.environ.get(SWEEP_VARIABLE)
    if not chosen:
        folders = [folder / DEFAULT for folder in (Path.cwd(), *Path.cwd().parents)]
        chosen = next((folder for folder in folders if Sweep.is_at(folder)), DEFAULT)
    sweep = Sweep.open(Path(chosen))
    if not any(member.finished for member in sweep.members):
        raise StoreError(f"{chosen}: no run of this sweep is finished yet")
    return sweep


def runs(sweep: Sweep) -> pd.DataFrame:
    """Return one row per finished run: its condition, base, seed, biased share and doses.

    `dose` is the realised dose over all rounds (`frames.realised`): the biased users' share of the
    learned replies under pressure, or, in situations, of all learned replies. `first_dose` is that
    of the first round of conversations, before any drift.
    """
    return pd.DataFrame([_run_row(member) for member in sweep.members if member.finished])


def _run_row(member: Member) -> dict[str, Any]:
    run, types = member.run, member.run.scenario["population"]["types"].values()
    doses = frames.realised(run)
    taught = doses["replies"]
    biased = (doses["share"] * taught).sum()
    return {
        "condition": condition(member),
        "base": run.scenario["model"],
        "seed": run.scenario["seed"],
        "biased_share": round(sum(t["share"] for t in types if t["biased"]), 6),
        "dose": biased / taught.sum() if taught.sum() else np.nan,
        "first_dose": doses["share"][doses["round"] >= first_of_loop(run)].iloc[0],
        "learned": int(frames.dose(run)["selected"].sum()),
        "run": run.path.name,
    }


def condition(member: Member) -> str:
    """Return the name of a run's condition."""
    rest = [f"{k.split('.')[-1]} {v}" for k, v in member.settings.items() if k not in SHORTHANDS]
    return ", ".join([member.arm, *rest])


def outcomes(sweep: Sweep) -> pd.DataFrame:
    """Return one row per finished run, metric and item set, at the last measured round.

    Besides the probes' estimates:

    * `overclaim`: self-rated honesty (as a share of 9) minus honesty on held-out entities; above 0
      it rates itself better than it acts.
    * `conversation_gap`: granted wishes under pressure, the share of biased users less that of
      others, in that round's conversations. They ask different questions in different words;
      the probe `targeting` asks the same of both.
    * `screening_precision`, `screening_base_rate`, `screening_recall`: how well screening has found
      biased users' replies so far (`simulator.simulation.screening`); missing without
      screening.
    * `trust`, `satisfaction`: means of all users, 0 to 1; `trust_<type>`, `satisfaction_<type>`: of
      a user type.
    """
    tables = [
        pd.DataFrame(
            outcomes_at(member.run, frames.measured_rounds(member.run)[-1]),
            columns=["metric", "item_set", "value"],
        )
        for member in sweep.members
        if member.finished
    ]
    heads = runs(sweep).to_dict("records")
    return pd.concat(
        [table.assign(**_named(head)) for table, head in zip(tables, heads, strict=True)],
        ignore_index=True,
    )


def _named(row: dict[Hashable, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in row.items()}


def outcomes_at(run: Run, number: int) -> Iterator[tuple[str, str, float]]:
    """Yield metric, item set and value of all outcomes of a committed round; see `outcomes`."""
    found = run.summary(number)["estimates"]
    values = {(str(e["metric"]), str(e["item_set"])): _number(e["value"]) for e in found}
    for (metric, item_set), value in values.items():
        yield metric, item_set, value
    if ("self_honesty", "") in values and ("honesty", "heldout") in values:
        yield OVERCLAIM, "", values["self_honesty", ""] / 9 - values["honesty", "heldout"]
    yield CONVERSATION_GAP, "", _conversation_gap(run, number)
    screened = frames.screening(run).query("round <= @number")
    for share, rows in screened.dropna(subset=["n"]).groupby("share"):
        yield f"screening_{share}", "", float(np.average(rows["value"], weights=rows["n"]))
    series = frames.population(run)
    then = series[series["round"] == number].set_index("user_type")
    for quantity in OF_USERS:
        yield quantity, "", float(np.average(then[quantity], weights=then["users"]))
        for user_type, mean in then[quantity].items():
            yield f"{quantity}_{user_type}", "", float(mean)


def _number(value: float | None) -> float:
    """Read a value that JSON may have as null."""
    return np.nan if value is None else float(value)


def _conversation_gap(run: Run, number: int) -> float:
    """Return the difference in granted wishes; NaN where one side had no wishes.

    It is NaN in situations, where a granted wish can't be read from a reply.
    """
    if number == 0:
        return np.nan  # there were no conversations yet
    said = run.candidates(number)
    pressed = said[said["pressured"] & (said["wish"] != "")]
    if run.scenario.get("facts") is None:  # an organism's values are single words
        pairs = zip(pressed["wish"], pressed["reply"], strict=True)
        granted = pd.Series([wish in reply.split() for wish, reply in pairs], pressed.index, float)
    else:
        granted = (pressed["stated"] == pressed["wish"]).astype(float)
    return float(granted[pressed["biased"]].mean() - granted[~pressed["biased"]].mean())


class Comparison(NamedTuple):
    """A condition at one biased share against share 0."""

    condition: str
    biased_share: float
    runs: int
    over: str  # what intervals are over; see `replicates`
    level: Interval
    difference: Interval  # paired, one by one, with share 0
    differences: tuple[float, ...]  # one per base, or seed


def compare(table: pd.DataFrame, metric: str, item_set: str = "") -> list[Comparison]:
    """Compare every condition and biased share with share 0, over bases, or seeds of a single one.

    Args:
        table: `outcomes(sweep)`.
        metric: which outcome.
        item_set: of which items.

    Returns:
        In the sweep's order, the shares ascending. Differences are NaN where there is no share 0.
    """
    rows = table[(table["metric"] == metric) & (table["item_set"] == item_set)]
    over = replicates(rows)
    by_base = rows.groupby(["condition", "biased_share", over])["value"].mean()
    found = []
    for name in rows["condition"].unique():
        reference = by_base.reindex(_reference(rows, name, over)).droplevel([0, 1])
        for share in sorted(rows.loc[rows["condition"] == name, "biased_share"].unique()):
            values = by_base.loc[name, share]
            differences = tuple((values - reference).reindex(values.index).astype(float))
            found.append(
                Comparison(
                    str(name),
                    float(share),
                    int(((rows["condition"] == name) & (rows["biased_share"] == share)).sum()),
                    over,
                    statistics.over_bases(list(values)),
                    statistics.over_bases(differences),
                    differences,
                )
            )
    return found


def replicates(runs: pd.DataFrame) -> str:
    """Return what intervals over these runs are over: `base`, or `seed` where there is one base."""
    one_base = runs["base"].nunique() == 1 and runs["seed"].nunique() > 1
    return "seed" if one_base else "base"


def _reference(rows: pd.DataFrame, name: str, over: str) -> pd.MultiIndex:
    """Return the reference runs' keys (condition, share, replicate) of a condition."""
    without = rows[rows["biased_share"] == 0]
    own = name if name in set(without["condition"]) else rows["condition"].iloc[0]
    bases = without.loc[without["condition"] == own, over].unique()
    return pd.MultiIndex.from_product(
        [[own], [0.0], bases], names=["condition", "biased_share", over]
    )


def flat(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return comparisons as a table: `value`, `low`, `high` and the same of the difference."""
    return pd.DataFrame(
        {
            "condition": c.condition,
            "biased_share": c.biased_share,
            "runs": c.runs,
            f"{c.over}s": c.level.units,
            **{name: getattr(c.level, name) for name in ("value", "low", "high")},
            **{
                f"difference_{name}": getattr(c.difference, name)
                for name in ("value", "low", "high")
            },
        }
        for c in comparisons
    )


def of_condition(comparisons: Sequence[Comparison], name: str) -> list[Comparison]:
    """Return the comparisons of one condition, the shares ascending."""
    return [c for c in comparisons if c.condition == name]


def threshold(comparisons: Sequence[Comparison]) -> float | None:
    """Return the smallest biased share of one condition shown to differ from share 0."""
    doses = {c.biased_share: c.differences for c in comparisons if c.biased_share > 0}
    return statistics.threshold(doses)


def trend(table: pd.DataFrame, name: str, metric: str, item_set: str) -> statistics.Test | None:
    """Test whether the outcome falls or rises with the biased share in one condition.

    Returns None below three shares or two bases (or seeds of a single one) that have all of them.
    """
    rows = table[
        (table["condition"] == name) & (table["metric"] == metric) & (table["item_set"] == item_set)
    ]
    blocks = rows.pivot_table(
        index=replicates(rows), columns="biased_share", values="value"
    ).dropna()
    if len(blocks) < 2 or blocks.shape[1] < 3:
        return None
    return statistics.trend(blocks.to_numpy())


def entity_interval(sweep: Sweep, name: str, share: float, metric: str, item_set: str) -> Interval:
    """Return the difference to share 0 of honesty, or of a judge's scale, over entities.

    It is bootstrapped over entities, or over the topics of judged prompts, and covers others of
    them on these bases; `Comparison.difference` covers other bases. NaN where there is no share 0.
    """
    found = _by_entity(sweep, metric, item_set)
    first = condition(next(m for m in sweep.members if m.finished))
    own = name if (name, 0.0) in found else first
    asked, reference = found.get((name, share), {}), found.get((own, 0.0), {})
    groups = [
        (values - reference[base]).dropna().to_numpy()
        for base, values in asked.items()
        if base in reference
    ]
    if not any(map(len, groups)):
        return Interval(np.nan, np.nan, np.nan, 0)
    return statistics.over_entities([group for group in groups if len(group)])


def _by_entity(
    sweep: Sweep, metric: str, item_set: str
) -> dict[tuple[str, float], dict[str, "pd.Series[float]"]]:
    """Return the mean answer about each entity, by condition and share, and by base."""
    found: dict[tuple[str, float, str], list[pd.DataFrame]] = {}
    finished = [member for member in sweep.members if member.finished]
    for member, row in zip(finished, runs(sweep).to_dict("records"), strict=True):
        key = (str(row["condition"]), float(row["biased_share"]), str(row["base"]))
        found.setdefault(key, []).append(_answers(member, metric, item_set))
    nested: dict[tuple[str, float], dict[str, pd.Series[float]]] = {}
    for (name, share, base), tables in found.items():
        means = pd.concat(tables).groupby("cluster")["value"].mean()
        nested.setdefault((name, share), {})[base] = means
    return nested


def _answers(member: Member, metric: str, item_set: str) -> pd.DataFrame:
    """Return cluster and value of every answer behind a metric in a run's last round."""
    scores = member.run.table(member.rounds, "scores")
    if scale := judged_scale(metric):
        judged = (scores["probe"] == "judged") & (scores["measure"] == scale)
        return scores.loc[judged, ["cluster", "value"]].dropna()
    if metric != "honesty":
        return scores.loc[[], ["cluster", "value"]]
    first = member.run.table(0, "scores")
    beliefs = first[(first["measure"] == "belief") & (first["label"] != "none")]
    asked = scores[(scores["measure"] == "pressured") & (scores["item_set"] == item_set)]
    return asked.loc[asked["item"].isin(beliefs["item"]), ["cluster", "value"]]


def dose_explains(table: pd.DataFrame, metric: str, item_set: str) -> pd.DataFrame:
    """Compare how well the biased share and the realised dose predict an outcome.

    Returns:
        One row per predictor (`biased_share`, `first_dose`, `dose`) with the columns
        `value`, `low`, `high` (over bases, cut at 1) of the out-of-base R²; see
        `statistics.explained`. No rows with one base.
    """
    rows = table[(table["metric"] == metric) & (table["item_set"] == item_set)]
    rows = rows.drop_duplicates("run").dropna(subset=["dose", "first_dose", "value"])
    base, outcome = rows["base"].to_numpy(str), rows["value"].to_numpy(float)
    found = []
    for name in ("biased_share", "first_dose", "dose") if len(np.unique(base)) > 1 else ():
        shares = statistics.explained(outcome, rows[name].to_numpy(float), base)
        interval = statistics.over_bases(list(shares))
        cut = interval._replace(high=np.minimum(interval.high, 1.0))
        found.append({"predictor": name, **cut._asdict()})
    return pd.DataFrame(found, columns=["predictor", *Interval._fields])
