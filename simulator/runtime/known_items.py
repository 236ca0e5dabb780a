"""Which items of a world of facts the assistant knows before any update.

Only those are asked about, by users and by probes. So the questions stay the same in every round,
and a false reply to one of them isn't ignorance from the start.
"""

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.core.errors import ScenarioError
from simulator.core.progress import Progress, task_of
from simulator.core.requests import Request
from simulator.probes.world.beliefs import BELIEF_THRESHOLD, belief_of, belief_requests
from simulator.runtime.observers import Observer
from simulator.runtime.shared_measurements import SharedMeasurements
from simulator.store.run import Run
from simulator.worlds.base import ITEM_SETS, World
from simulator.worlds.facts import FactWorld

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario

COLUMNS = ("round", "item", "domain", "item_set", "truth", "belief", "known")
FEWEST = 8  # known items of each set


def world_of_run(scenario: "Scenario", run: Run) -> World | None:
    """Return the world of a run whose base was measured, with the items that it knows."""
    world = scenario.world
    if isinstance(world, FactWorld):
        return _restricted(world, run.table(0, "beliefs"))
    return world


def known_world(
    scenario: "Scenario",
    run: Run,
    backend: Backend,
    observer: Observer,
    progress: Progress | None = None,
    shared: SharedMeasurements | None = None,
) -> World | None:
    """Return the world, with the items that the base knows; ask it where that isn't known yet.

    Args:
        scenario: names the world and the base.
        run: keeps what the base believes.
        backend: answers for the base.
        observer: is told that the base is asked.
        progress: counts the answers.
        shared: the measurements that runs share.

    Raises:
        ScenarioError: the base knows too little to be asked.
    """
    world = scenario.world
    if not isinstance(world, FactWorld):
        return world
    if not run.has_table(0, "beliefs"):
        observer.stage(0, "what the model knows")
        shared = shared or SharedMeasurements(None, scenario, {})
        with backend.without_adapter():
            ask = partial(beliefs_of, world, backend, progress or Progress())
            found = shared.table("beliefs", 0, None, ask)
        _check(scenario.model, found)
        run.commit_table(0, "beliefs", found)
    return _restricted(world, run.table(0, "beliefs"))


def _check(model: str, beliefs: pd.DataFrame) -> None:
    """Refuse a base that knows too little; nothing is committed then."""
    known = beliefs["known"].groupby(beliefs["item_set"]).sum()
    counts = {name: int(known.get(name, 0)) for name in ITEM_SETS}
    if min(counts.values()) < FEWEST:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise ScenarioError(
            f"facts: '{model}' believes too few of them to be asked about them ({told}; {FEWEST} "
            "of each set are needed); choose another model, or facts that it knows"
        )


def _restricted(world: FactWorld, beliefs: pd.DataFrame) -> FactWorld:
    return world.knowing(beliefs["item"][beliefs["known"]])


def questions_before(world: World | None) -> list[Request]:
    """Return what a base is asked before any round: nothing, unless the world is of facts."""
    if not isinstance(world, FactWorld):
        return []
    items = chain.from_iterable(world.items[name] for name in ITEM_SETS)
    return [asked for item in items for asked in belief_requests(world, item)]


def beliefs_of(world: FactWorld, backend: Backend, progress: Progress) -> pd.DataFrame:
    """Return the base's belief about each item, and whether it is true: then it is known."""
    items = [(name, item) for name in ITEM_SETS for item in world.items[name]]
    questions = questions_before(world)
    with progress.doing(task_of(questions, "beliefs")):
        answers = iter(answer(backend, questions))
    rows = []
    for item_set, item in items:
        found = [next(answers) for _ in world.stems(item)]
        belief = belief_of(item, found, BELIEF_THRESHOLD)
        truth = world.facts[item]
        rows.append((0, item.name, item.domain, item_set, truth, belief or "", belief == truth))
    return pd.DataFrame(rows, columns=COLUMNS)
