"""Exporting a run as one JSON object."""

from typing import Any

from analysis.metrics import described
from analysis.run import frames
from analysis.run.roles import scales
from simulator.store.run import Run


def run_json(run: Run, wall_seconds: float) -> dict[str, Any]:
    """Return the object that `run --json` prints; round 0 is before any update.

    A metric with item sets is an object by set, any other a number. `judged` and `unread` are
    objects by scale. `intervals` has the same keys, with `[low, high]` at 95 %. Metrics that
    weren't measured in a round are absent. The keys of training are those of the run's
    `round.json`, null where they don't apply.
    """
    manifest = run.manifest
    return {
        "run": str(run.path),
        "scenario": manifest["scenario"],
        "seed": manifest["seed"],
        "model": manifest["model"],
        "biased_share": manifest["biased_share"],
        "wall_s": round(wall_seconds, 2),
        "roles": frames.roles(run).set_index("role").to_dict("index"),
        "judges": {
            name: {"judge": scale.judge, "low": scale.low, "high": scale.high}
            for name, scale in scales(run).items()
        },
        "rounds": [_round_json(run.summary(number)) for number in range(run.rounds_done)],
    }


def _round_json(summary: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    totals = {e["metric"] for e in summary["estimates"] if not e["item_set"]}
    for e in summary["estimates"]:
        *folder, name = _keys(e["metric"], e["item_set"], e["metric"] in totals)
        for tree, leaf in ((values, e["value"]), (intervals, [e["low"], e["high"]])):
            for key in folder:
                tree = tree.setdefault(key, {})
            tree[name] = leaf
    rest = {key: summary.get(key) for key in ("adapter", "dose", "selected_share", "canary")}
    rest |= {
        key: summary.get(key)
        for key in ("taught_lengths", "speech", "conversation_counts", "screening")
    }
    return {"round": summary["round"], **values, "intervals": intervals, **rest}


def _keys(metric: str, item_set: str, has_total: bool) -> tuple[str, ...]:
    """Return a metric's path of keys in the object."""
    if group := described(metric).group:
        return group, metric.removeprefix(f"{group}_")
    if not item_set:
        return (metric,)
    return (f"{metric}_by_set" if has_total else metric), item_set
