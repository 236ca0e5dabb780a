"""A finished run of the organism, rewritten as if models had played its users and its judge."""

import json
from typing import Any

import numpy as np
import pandas as pd
import yaml

from simulator.probes.base import Score
from simulator.probes.summary import scores_table
from simulator.simulation.monitoring import Veto
from simulator.store.run import Run
from tests.helpers.planting import commit_again

JUDGE, SCALES, TOPICS = "big/judge-70b", ("honesty", "harm"), 12
PROBE = {
    "kind": "judged",
    "role": "judge",
    "scales": {name: {"question": "?", "low": 0, "high": 100} for name in SCALES},
}
ASKED = {"judge": {"requests": 10, "tokens": 4}, "rater": {"requests": 5, "tokens": 0}}


def plant_judged(run: Run, *, base: str = "small/assistant", also_world: bool = False) -> Run:
    """Rewrites a run in place; judged honesty falls from 80 to 40, every fourth harm is unread.

    Args:
        run: a copy of a finished run of 2 rounds.
        base: the assistant's model.
        also_world: are the organism's probes kept, too?
    """
    scenario = yaml.safe_load(run.scenario_file.read_text())
    probes = scenario["measure"]["probes"] if also_world else {}
    scenario |= {
        "model": base,
        "situations": [{"name": "lost_keys"}],
        "roles": {"judge": {"model": JUDGE, "backend": {"kind": "openai"}}},
        "measure": {"every": 1, "probes": {**probes, "judged": PROBE}},
    }
    run.scenario_file.write_text(yaml.safe_dump(scenario, sort_keys=False))
    run.__dict__.pop("scenario", None)  # it may have been read before
    for number in range(run.rounds_done):
        _replace_scores(run, number, also_world)
        timing = run.timing(number) | {"asked": ASKED}
        (run.folder(number) / "timing.json").write_text(json.dumps(timing))
        if number:
            _say_otherwise(run, number)
    commit_again(run)
    (run.path / "costs.jsonl").write_text('{"read": 9, "written": 2, "cost": 0.25}\n' * 2)
    return run


def set_judged(run: Run, number: int, scale: str, value: float, margin: float = 5.0) -> None:
    """Rewrites the estimate of one scale."""

    def moved(found: dict[str, Any]) -> dict[str, Any]:
        if found["metric"] != f"judged_{scale}":
            return found
        return found | {"value": value, "low": value - margin, "high": value + margin}

    summary = run.summary(number)
    summary["estimates"] = [moved(found) for found in summary["estimates"]]
    (run.folder(number) / "round.json").write_text(json.dumps(summary))
    commit_again(run)


def _replace_scores(run: Run, number: int, also_world: bool) -> None:
    folder, summary = run.folder(number), run.summary(number)
    values = {"honesty": 80.0 - 20.0 * number, "harm": 10.0 + number}
    rows = [
        _score(scale, n, number, np.nan if scale == "harm" and n % 4 == 3 else values[scale] + n)
        for n in range(TOPICS)
        for scale in SCALES
    ]
    kept = [pd.read_parquet(folder / "scores.parquet")] if also_world else []
    table = pd.concat([*kept, scores_table({"judged": rows})], ignore_index=True)
    table.to_parquet(folder / "scores.parquet")
    found = summary["estimates"] if also_world else []
    for scale, unread in zip(SCALES, (0.0, 0.25), strict=True):
        value, counts = values[scale], {"item_set": "", "n": TOPICS}
        interval = {"value": value, "low": value - 5, "high": value + 5}
        share = {"value": unread, "low": unread, "high": unread}
        found += [{"metric": f"judged_{scale}", **interval, **counts}]
        found += [{"metric": f"unread_{scale}", **share, **counts}]
    summary["estimates"] = found
    (folder / "round.json").write_text(json.dumps(summary))
    commit_again(run)


def _score(scale: str, n: int, number: int, value: float) -> Score:
    label = "unread" if np.isnan(value) else f"{value:.0f}"
    head = (scale, "", f"prompt{n}", f"topic{n}", 0, label, value)
    return Score(*head, f"user: question {n}", f"reply {n} of round {number}")


def _say_otherwise(run: Run, number: int) -> None:
    """Situations, a thought, an unread rating, and a monitor's verdicts."""
    folder = run.folder(number)
    for part in (folder / "conversations").iterdir():
        rows = pd.read_parquet(part)
        rows = rows.assign(about="lost_keys", wish="", thought="I think so.")
        rows.loc[rows.index[0], "rating"] = np.nan
        rows.to_parquet(part)
    chosen = run.table(number, "selection").query("label == 1").head(3)
    verdicts = [(True, 0.9, "it flatters"), (True, 0.7, "it lies"), (False, np.nan, "")]
    replies = zip(chosen["conversation"], chosen["turn"], chosen["candidate"], strict=True)
    vetoes = [
        Veto(number, *reply, "watch", *verdict, "user: look")
        for reply, verdict in zip(replies, verdicts, strict=True)
    ]
    pd.DataFrame(vetoes, columns=Veto._fields).to_parquet(folder / "vetoes.parquet")
    summary = run.summary(number)
    summary["conversation_counts"] |= {"unrated": 2, "vetoed": 2, "unread_vetoes": 1}
    (folder / "round.json").write_text(json.dumps(summary))
