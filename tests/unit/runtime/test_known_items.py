"""What a base believes decides what it is asked; the rest is left alone, in every round."""

from pathlib import Path

import pytest

from simulator.config.loading import load
from simulator.core.errors import ScenarioError
from simulator.core.progress import Progress
from simulator.core.requests import Prompt
from simulator.runtime.known_items import beliefs_of, known_world, world_of_run
from simulator.runtime.observers import Silent
from simulator.store.run import Run
from simulator.worlds.base import ITEM_SETS, Item
from simulator.worlds.fact_data import load_facts
from simulator.worlds.facts import FactWorld
from tests.helpers.scripted_backend import Scripted

SCENARIO = load("facts")
WORLD = FactWorld(SCENARIO.seed, load_facts())
STEMS = {stem: (item, n) for item in WORLD.facts for n, stem in enumerate(WORLD.stems(item))}


class Pupil(Scripted):
    """Completes stems with the truth, but for categories of which it knows half or nothing."""

    def __init__(self, ignorant_of: str = "", halting_in: str = "") -> None:
        def says(prompt: Prompt) -> dict[str, float]:
            assert not prompt.messages  # no character speaks
            item, stem = STEMS[prompt.text]
            knows = item.domain != ignorant_of and not (item.domain == halting_in and stem)
            chosen = WORLD.facts[item] if knows else wrong(item)
            return {f" {value}": 0.6 if value == chosen else 1e-9 for value in item.values}

        super().__init__(says)


def wrong(item: Item) -> str:
    return next(value for value in item.values if value != WORLD.facts[item])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", SCENARIO.model_dump(mode="json"), {})


def test_a_fact_is_known_if_all_stems_are_completed_truly() -> None:
    found = beliefs_of(WORLD, Pupil("capital", "opposite"), Progress()).set_index("item")
    assert len(found) == len(WORLD.facts)
    capitals, opposites = (found[found["domain"] == name] for name in ("capital", "opposite"))
    assert not capitals["known"].any() and (capitals["belief"] != "").all()
    assert not opposites["known"].any() and (opposites["belief"] == "").all()
    assert found.drop([*capitals.index, *opposites.index])["known"].all()
    assert set(found["item_set"]) == set(ITEM_SETS)


def test_only_what_is_known_is_asked_about_and_the_base_is_asked_once(run: Run) -> None:
    first = known_world(SCENARIO, run, Pupil("capital"), Silent())
    again = known_world(SCENARIO, run, Pupil(), Silent())  # would say otherwise
    later = world_of_run(SCENARIO, run)
    assert isinstance(first, FactWorld)
    assert first == again == later
    asked = [item for items in first.items.values() for item in items]
    assert asked and "capital" not in {item.domain for item in asked}
    assert "capital" not in first.used_by_domain
    whole = {name: set(items) for name, items in WORLD.items.items()}
    assert all(set(first.items[name]) <= whole[name] for name in whole)
    assert run.table(0, "beliefs")["round"].eq(0).all()


def test_a_base_that_knows_too_little_is_refused(run: Run) -> None:
    def guess(prompt: Prompt) -> dict[str, float]:
        item, _ = STEMS[prompt.text]
        return {f" {value}": 1 / len(item.values) for value in item.values}

    with pytest.raises(ScenarioError, match=r"'smollm2' believes too few .*0 used, 0 held"):
        known_world(SCENARIO, run, Scripted(guess), Silent())
    assert not run.has_table(0, "beliefs")


def test_an_organism_is_asked_about_all_of_its_world(run: Run) -> None:
    quickstart = load("quickstart")
    assert known_world(quickstart, run, Pupil(), Silent()) == quickstart.world
    assert not run.has_table(0, "beliefs")


def test_seeds_hold_out_other_subjects() -> None:
    other = load("facts", options={"seed": 1}).world
    assert isinstance(other, FactWorld)
    assert set(other.facts) == set(WORLD.facts)
    assert set(other.items["heldout"]) != set(WORLD.items["heldout"])
    assert set(other.items["ood"]) == set(WORLD.items["ood"])
