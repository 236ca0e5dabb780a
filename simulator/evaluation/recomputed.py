"""What a run says of itself, found again from what it stored.

Lineage: a score names its adapter, an adapter the examples it learned, an example its conversation,
a conversation its user. Numbers: what replies state, what was selected, what probes estimate.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from simulator.config.scenario import Scenario
from simulator.core.rng import seed31
from simulator.probes.summary import summarise
from simulator.probes.world.honesty import OUTCOMES, outcome
from simulator.runtime.round_tables import finite
from simulator.store.run import Run
from simulator.worlds.base import Item, World

KEYS = ["conversation", "turn", "candidate"]


def contradictions(
    run: Run, scenario: Scenario, world: World | None, counts: dict[str, int]
) -> Iterator[str]:
    """Yield a sentence for everything that what was stored contradicts.

    Args:
        run: without damaged files.
        scenario: the run's.
        world: the run's, with the items that are asked about.
        counts: how much was checked is added, by kind.
    """
    baseline = run.table(0, "scores")
    for number in range(run.rounds_done):
        place = run.folder(number)
        summary, scores = run.summary(number), run.table(number, "scores")
        for what in (
            _adapters(run, number, summary, scores),
            _conversations(run, number, counts) if number else (),
            _selection(run, scenario, number, counts) if number else (),
            _statements(scores, world, counts),
            _statements(run.candidates(number), world, counts),
            _estimates(scenario, summary, scores, baseline, counts),
        ):
            yield from (f"{place / file}: {why}" for file, why in what)


Contradiction = tuple[str, str]  # a file of the round, and what contradicts it


def _adapters(
    run: Run, number: int, summary: Mapping[str, Any], scores: pd.DataFrame
) -> Iterator[Contradiction]:
    served = run.adapter(number)
    name = served.name if served else None
    if summary["adapter"] != name:
        yield "round.json", f"it names the adapter {summary['adapter']}, but {name} was served"
    if others := set(scores["adapter"].dropna()) - {name}:
        yield "scores.parquet", f"it has scores of {', '.join(sorted(others))}, not of {name}"


def _conversations(run: Run, number: int, counts: dict[str, int]) -> Iterator[Contradiction]:
    """Compare examples with conversations, and those with users and the adapter that replied."""
    said, file = run.candidates(number), "examples.parquet"
    before = run.adapter(number - 1)
    if others := set(said["adapter"].dropna()) - {before.name if before else None}:
        yield "conversations", f"replies are by {', '.join(sorted(others))}"
    if unknown := set(said["user"]) - set(run.table(number, "population")["user"]):
        yield "conversations", f"user {min(unknown)} isn't in the population"
    examples = run.table(number, "examples").query("origin == 'conversation'")
    sources = {tuple(row[k] for k in KEYS): row for row in said.to_dict("records")}
    for example in examples.to_dict("records"):
        key = tuple(example[k] for k in KEYS)
        source = sources.get(key)
        counts["examples"] = counts.get("examples", 0) + 1
        if source is None:
            yield file, f"no reply is {'/'.join(map(str, key))}, which it says was learned"
        elif not _same(example, source):
            yield file, f"the reply {'/'.join(map(str, key))} isn't the one that was said"


def _same(example: Mapping[Any, Any], source: Mapping[Any, Any]) -> bool:
    chats = [[dict(m) for m in one["messages"]] for one in (example, source)]
    return bool(example["reply"] == source["reply"] and chats[0] == chats[1])


def _selection(
    run: Run, scenario: Scenario, number: int, counts: dict[str, int]
) -> Iterator[Contradiction]:
    """Decide again; what monitors or screening changed is left out."""
    candidates, file = run.candidates(number), "selection.parquet"
    stored = run.table(number, "selection")
    if len(stored) != len(candidates):
        yield file, f"it has {len(stored)} decisions on {len(candidates)} replies"
        return
    seed = seed31("selection", scenario.seed, number)
    decision = scenario.selection.decide(candidates, seed)
    again = candidates[KEYS].assign(
        label_again=decision.labels(candidates), reason_again=decision.reasons(candidates)
    )
    merged = stored.merge(again, on=KEYS)
    untouched = merged[merged["reason"] == merged["reason_again"]]
    counts["decisions"] = counts.get("decisions", 0) + len(untouched)
    may_change = bool(scenario.monitors) or scenario.screening is not None
    wrong = merged[merged["label"] != merged["label_again"]]
    wrong = wrong[wrong["reason"] == wrong["reason_again"]] if may_change else wrong
    for row in wrong.head(1).to_dict("records"):
        name = "/".join(str(row[k]) for k in KEYS)
        yield (
            file,
            f"{name} has the label {row['label']}, and its ratings give {row['label_again']}",
        )


def _statements(
    rows: pd.DataFrame, world: World | None, counts: dict[str, int]
) -> Iterator[Contradiction]:
    """Read the replies about a world's items again."""
    if world is None or rows.empty:
        return
    items: dict[str, Item] = {item.name: item for item in world.facts}
    of_probes = "measure" in rows
    file, about = ("scores.parquet", "item") if of_probes else ("conversations", "about")
    asked = rows[rows["truth"].notna() & (rows["reply"] != "") & rows[about].isin(items)]
    for row in asked.to_dict("records"):
        counts["replies"] = counts.get("replies", 0) + 1
        said = world.read(row["reply"], items[row[about]])
        stated = row["stated"] if isinstance(row["stated"], str) else None
        if said.value != stated:
            yield file, f"a reply about {row[about]} states {said.value}, and it says {stated}"
        elif of_probes and row["measure"] == "pressured" and row["label"] in OUTCOMES:
            label = outcome(row["belief"] or None, said)
            if label != row["label"]:
                yield file, f"a reply about {row[about]} is '{label}', and it says '{row['label']}'"


def _estimates(
    scenario: Scenario,
    summary: Mapping[str, Any],
    scores: pd.DataFrame,
    baseline: pd.DataFrame,
    counts: dict[str, int],
) -> Iterator[Contradiction]:
    """Estimate again from the scores."""
    again = [
        finite(found._asdict()) for found in summarise(scenario.measure.probes, scores, baseline)
    ]
    stored = {(e["metric"], e["item_set"]): e for e in summary["estimates"]}
    for found in json.loads(json.dumps(again)):
        key = (found["metric"], found["item_set"])
        counts["estimates"] = counts.get("estimates", 0) + 1
        if stored.pop(key, None) != found:
            yield "round.json", f"the scores don't give its estimate of {' '.join(key).strip()}"
    for key in stored:
        yield "round.json", f"no score gives its estimate of {' '.join(key).strip()}"
