"""Which items of a world of facts the assistant knows before any update.

Only those are asked about, by users and by probes. So the questions stay the same in every round,
and a false reply to one of them isn't ignorance from the start.
"""

from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.core.errors import ScenarioError
from simulator.probes.world.beliefs import BELIEF_THRESHOLD, belief_of, belief_requests
from simulator.runtime.observers import Observer
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
    scenario: "Scenario", run: Run, backend: Backend, observer: Observer
) -> World | None:
    """Return the world, with the items that the base knows; ask it where that isn't known yet.

    Raises:
        ScenarioError: the base knows too little to be asked.
    """
    world = scenario.world
    if not isinstance(world, FactWorld):
        return world
    if not run.has_table(0, "beliefs"):
        observer.stage(0, "what the model knows")
        with backend.without_adapter():
            run.commit_table(0, "beliefs", beliefs_of(world, backend))
    found = run.table(0, "beliefs")
    known = found["known"].groupby(found["item_set"]).sum()
    if lacking := [name for name in ITEM_SETS if known.get(name, 0) < FEWEST]:
        counts = ", ".join(f"{known.get(name, 0)} of {name}" for name in ITEM_SETS)
        raise ScenarioError(
            f"facts: '{scenario.model}' believes too few of the facts to be asked about them "
            f"({counts}; {FEWEST} of each set are needed, too few of {', '.join(lacking)}); choose "
            "a larger model, or facts that it knows"
        )
    return _restricted(world, found)


def _restricted(world: FactWorld, beliefs: pd.DataFrame) -> FactWorld:
    return world.knowing(beliefs["item"][beliefs["known"]])


def beliefs_of(world: World, backend: Backend) -> pd.DataFrame:
    """Return the base's belief about each item, and whether it is true: then it is known."""
    items = [(name, item) for name in ITEM_SETS for item in world.items[name]]
    asked = [belief_requests(world, item) for _, item in items]
    answers = iter(answer(backend, chain.from_iterable(asked)))
    rows = []
    for (item_set, item), requests in zip(items, asked, strict=True):
        belief = belief_of(item, [next(answers) for _ in requests], BELIEF_THRESHOLD)
        truth = world.facts[item]
        rows.append((0, item.name, item.domain, item_set, truth, belief or "", belief == truth))
    return pd.DataFrame(rows, columns=COLUMNS)
