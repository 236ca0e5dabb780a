"""A run as one JSON object, for programs."""

from typing import Any

from simulator.store import Run


def run_json(run: Run, wall_seconds: float) -> dict[str, Any]:
    """Returns what `run --json` prints; round 0 is before any update.

    A metric of item sets is an object by set, any other a number; `intervals` has the same keys
    with `[low, high]` at 95 %. What wasn't measured in a round is absent.
    """
    manifest = run.manifest
    return {
        "run": str(run.path),
        "scenario": manifest["scenario"],
        "seed": manifest["seed"],
        "model": manifest["model"],
        "biased_share": manifest["biased_share"],
        "wall_s": round(wall_seconds, 2),
        "rounds": [_round_json(run.summary(number)) for number in range(run.rounds_done)],
    }


def _round_json(summary: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for e in summary["estimates"]:
        metric, item_set, interval = e["metric"], e["item_set"], [e["low"], e["high"]]
        if not item_set:
            values[metric], intervals[metric] = e["value"], interval
        else:
            overall = any(o["metric"] == metric and not o["item_set"] for o in summary["estimates"])
            name = f"{metric}_by_set" if overall else metric
            values.setdefault(name, {})[item_set] = e["value"]
            intervals.setdefault(name, {})[item_set] = interval
    rest = {key: summary[key] for key in ("adapter", "dose", "selected_share", "canary")}
    return {"round": summary["round"], **values, "intervals": intervals, **rest}
