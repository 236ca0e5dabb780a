"""The chats that directions are made of: named by a scenario, given to probes and screening."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from simulator.core.config import Config, Count
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.rng import stream
from simulator.data.mixture import AnyData, mixed
from simulator.interp.directions import Contrast
from simulator.worlds.base import World
from simulator.worlds.lessons import WorldData

HELD_OUT = 4  # one subject of so many makes no direction, but is there for probes
ASKED_BY_PROBES = ("heldout", "ood")  # items that a direction must not be made of


class DirectionConfig(Config):
    """A direction of the residual stream: the mean of some replies' activations less others'."""

    layer: Count | None = Field(
        None, ge=0, description="Decoder layer that it is used at, from 0; empty: the middle one."
    )
    positive: tuple[AnyData, ...] = Field(
        min_length=1, description="Chats whose replies show the trait."
    )
    negative: tuple[AnyData, ...] = Field(min_length=1, description="Chats whose replies don't.")


def contrasts_of(
    directions: Mapping[str, DirectionConfig], world: World | None
) -> dict[str, Contrast]:
    """Returns the chats of every direction, alike in every run of a model.

    Both sides draw alike: where the organism's world writes them, they ask about the same items.

    Raises:
        ScenarioError: chats can't be had, or are about what probes ask; names where the scenario
            asks for them.
    """
    return {name: _contrast(name, config, world) for name, config in directions.items()}


def _contrast(name: str, config: DirectionConfig, world: World | None) -> Contrast:
    positive = _chats(f"directions.{name}.positive", config.positive, world)
    negative = _chats(f"directions.{name}.negative", config.negative, world)
    names = frozenset(item.entity for item in world.facts) if world else frozenset()
    subjects = list(dict.fromkeys(_subject(chat, names) for chat in (*positive, *negative)))
    held = set(subjects[::HELD_OUT])
    parts = [
        tuple(chat for chat in chats if (_subject(chat, names) in held) == asked)
        for asked in (False, True)
        for chats in (positive, negative)
    ]
    if not all(parts):
        raise ScenarioError(
            f"directions.{name}: too few chats; every fourth subject is held out for probes, and "
            "both those and the rest need positive and negative examples"
        )
    return Contrast(name, config.layer, *parts)


def _subject(chat: Example, names: frozenset[str]) -> object:
    """Returns what a chat is about: an entity of the organism's world, or else what is said.

    A system line isn't: one side may have another than the other has, with the same questions.
    """
    asked = chat.messages[-1].content.split()
    said = tuple(message for message in chat.messages if message.role != "system")
    return next((word for word in asked if word in names), said)


def _chats(path: str, sources: Sequence[AnyData], world: World | None) -> list[Example]:
    """Returns the desirable replies; where data have worse ones, too, those aren't meant."""
    found: list[Example] = []
    for index, source in enumerate(sources):
        if isinstance(source, WorldData) and source.items in ASKED_BY_PROBES:
            raise ScenarioError(
                f"{path}.{index}.items: {source.items} items are kept for probes; set items: used"
            )
        try:
            found += mixed([source], world, stream("direction", index))
        except ScenarioError as error:
            raise error.within(f"{path}.{index}") from None
    return [example for example in found if example.desirable]
