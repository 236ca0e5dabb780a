"""The chats that define directions, for probes and screening."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from simulator.core.config import Config, Count, Many
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.rng import stream
from simulator.data.encoding_checks import Check
from simulator.data.mixture import AnyData, mixed
from simulator.interp.directions import Contrast
from simulator.worlds.base import World
from simulator.worlds.lessons import WorldData

HELD_OUT = 4  # every n-th subject is held out of the direction, for probes
ASKED_BY_PROBES = ("heldout", "ood")  # item sets that a direction must not use


class DirectionConfig(Config):
    """A direction of the residual stream: the difference of replies' mean activations."""

    layer: Count | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Decoder layer where it is used, from 0; empty: the middle one.",
    )
    positive: Many[AnyData] = Field(min_length=1, description="Chats whose replies show the trait.")
    negative: Many[AnyData] = Field(min_length=1, description="Chats whose replies don't show it.")


def contrasts_of(
    directions: Mapping[str, DirectionConfig], world: World | None, check: Check
) -> dict[str, Contrast]:
    """Return the chats of every direction, the same in every run of a model.

    Both sides use the same draws: chats of the organism's world ask about the same items.

    Args:
        directions: by name.
        world: the organism's.
        check: says which chats the model can't read, for sources that leave bad rows out.

    Raises:
        ScenarioError: chats can't be read, or are about held-out items; names their place in the
            scenario.
    """
    return {name: _contrast(name, config, world, check) for name, config in directions.items()}


def _contrast(name: str, config: DirectionConfig, world: World | None, check: Check) -> Contrast:
    positive = _chats(f"directions.{name}.positive", config.positive, world, check)
    negative = _chats(f"directions.{name}.negative", config.negative, world, check)
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
    """Return the subject of a chat: an entity of the organism's world, or else its messages.

    System lines don't count: the two sides may differ in them, with the same questions.
    """
    asked = chat.messages[-1].content.split()
    said = tuple(message for message in chat.messages if message.role != "system")
    return next((word for word in asked if word in names), said)


def _chats(
    path: str, sources: Sequence[AnyData], world: World | None, check: Check
) -> list[Example]:
    """Return the desirable examples; worse replies of the data are left out."""
    found: list[Example] = []
    for index, source in enumerate(sources):
        if isinstance(source, WorldData) and source.items in ASKED_BY_PROBES:
            raise ScenarioError(
                f"{path}.{index}.items: {source.items} items are kept for probes; set items: used"
            )
        try:
            found += mixed([source], world, stream("direction", index), check)
        except ScenarioError as error:
            raise error.within(f"{path}.{index}") from None
    return [example for example in found if example.desirable]
