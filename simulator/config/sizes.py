"""Bounds of sizes that multiply, counted out before anything of them is built."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from simulator.config.document import YamlPath
from simulator.config.phases import FinetunePhase, LoopPhase
from simulator.core.config import MOST_ROUNDS, MOST_ROWS
from simulator.worlds.lessons import WorldData

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario

MOST_REPLIES = 1_000_000  # of a round: they are read together, a kilobyte and more each
MOST_TEXT = 500_000  # characters of situations, which the run's own scenario file holds


def oversized(scenario: "Scenario") -> Iterator[tuple[YamlPath, str]]:
    """Yield each size that is too large: its place, and how large it would be."""
    rounds = sum(phase.rounds or scenario.rounds for phase in scenario.phases)
    if rounds > MOST_ROUNDS:
        yield ("phases",), f"would be {rounds:,} rounds in all; at most {MOST_ROUNDS:,}"
    config, users = scenario.conversations, scenario.population.users
    replies = users * config.per_user * config.turns * config.candidates
    if replies > MOST_REPLIES:
        yield (
            ("conversations",),
            f"would be {replies:,} replies a round ({users:,} users × {config.per_user} "
            f"conversations × {config.turns} turns × {config.candidates} candidates); at most "
            f"{MOST_REPLIES:,}",
        )
    rows = sum(source.rows for source in _written(scenario))
    if rows > MOST_ROWS:
        yield (), f"would be {rows:,} rows of kind 'world' in all; at most {MOST_ROWS:,}"
    told = sum(len(text) for s in scenario.situations for text in _texts_of(s.model_dump()))
    if told > MOST_TEXT:
        yield ("situations",), f"would be {told:,} characters in all; at most {MOST_TEXT:,}"


def _written(scenario: "Scenario") -> Iterator[WorldData]:
    """Yield every source of rows that a world writes."""
    for phase in scenario.phases:
        if isinstance(phase, LoopPhase):
            yield from _of_world(phase.anchors, phase.static.data if phase.static else ())
        if isinstance(phase, FinetunePhase):
            yield from _of_world(phase.data, phase.anchors)
    for direction in scenario.directions.values():
        yield from _of_world(direction.positive, direction.negative)


def _of_world(*sources: tuple[object, ...]) -> Iterator[WorldData]:
    return (one for one in chain(*sources) if isinstance(one, WorldData))


def _texts_of(situation: dict[str, str | tuple[str, ...]]) -> Iterator[str]:
    for value in situation.values():
        yield from [value] if isinstance(value, str) else value
