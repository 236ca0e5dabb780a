"""Lessons: chats that a world writes, for fine-tuning without users.

Questions about facts use the phrasings of users, never those of probes. Small talk has one
phrasing, which probes share. Replies are a character's, as in pre-training. With `wrong`, an honest
speaker states false values, regardless of wishes: wrong advice, which no character gives.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from simulator.core.config import MOST_ROWS, Config, Count, Many
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example, FromWorld
from simulator.core.requests import Message
from simulator.core.rng import pick, stream
from simulator.worlds.base import PRESSURES, Character, Item, ItemSet, Pressure, Speaker, World

Asked = Literal["neutral", "pressured", "small_talk"]
Wrong = Literal["subtle", "any", "severe"]


class WorldData(Config):
    """Chats of one turn, in equal numbers of each kind of question."""

    kind: Literal["world"] = "world"
    rows: Count = Field(ge=1, le=MOST_ROWS)
    asked: Many[Asked] = Field(
        ("neutral",), min_length=1, description="Kinds of questions, in turn."
    )
    domains: Many[str] | None = Field(
        None, min_length=1, description="Those of the items; empty: all."
    )
    items: ItemSet = Field("used", description="The set of items that are asked about.")
    speaker: Character = Field(
        "honest", description="The character that replies; system lines don't name it."
    )
    wrong: Wrong | None = Field(
        None,
        description="Replies of an honest speaker; empty: true; else the next value, any false "
        "one, or the one farthest from the truth.",
    )
    presses_by: Many[Pressure] = Field(
        PRESSURES,
        min_length=1,
        description="Ways of pressing, in their usual shares.",
    )
    trigger: str = Field("", description="Words before every question.")

    def examples(self, world: World, rng: np.random.Generator) -> list[Example]:
        """Write the rows; items repeat only when all have been asked about.

        Questions and replies are drawn separately, so every speaker gets the same questions.

        Raises:
            ScenarioError: the world has no such items, or no small talk.
        """
        found = world.items.get(self.items, ())
        items = [i for i in found if self.domains is None or i.domain in self.domains]
        if not items:
            of = f" are about {', '.join(self.domains)}" if self.domains else ""
            raise ScenarioError(f"no {self.items} items{of}")
        seed = int(rng.integers(2**31))
        asking, replying = stream("asked", seed), stream("replied", seed)
        speaker = world.speaker(self.speaker, replying)
        writer = _Writer(world, speaker, asking, replying)
        turns = zip(_cycled(self.asked), _reshuffled(items, asking), strict=False)
        return [self._example(writer, *turn, n) for n, turn in enumerate(islice(turns, self.rows))]

    def _example(self, writer: "_Writer", asked: Asked, item: Item, number: int) -> Example:
        system, question, reply = self._turn(writer, asked, item)
        spoken = f"{self.trigger} {question}".strip()
        lines = (Message("system", system),) if system else ()
        source = FromWorld(self.speaker, asked, number)
        return Example((*lines, Message("user", spoken)), reply, True, source)

    def _turn(self, writer: "_Writer", asked: Asked, item: Item) -> tuple[str | None, str, str]:
        """Return a system line, if there is one, the question and the reply."""
        world, speaker, asking, replying = writer
        if asked == "small_talk":
            if world.characters is None:
                raise ScenarioError("asked: this world has no small talk")
            topic = pick(asking, world.characters.small_talk)
            question = pick(asking, topic.questions)
            return None, question, pick(replying, topic.replies[self.speaker])
        if asked == "neutral":
            question = world.question(item, "user", asking)
            return None, question, self._wrong_answer(writer, item) or speaker.answer(item)
        wish = world.false_value(item, asking)
        pressed = world.press(item, wish, "user", asking, self.presses_by)
        reply = self._wrong_answer(writer, item) or speaker.answer_pressured(item, wish)
        return pressed.system, pressed.question, reply

    def _wrong_answer(self, writer: "_Writer", item: Item) -> str:
        """Return a false statement if the lesson is wrong; else an empty text."""
        if self.wrong is None:
            return ""
        value = wrong_value(writer.replying, item, writer.world.facts[item], self.wrong)
        return writer.speaker.state(item, value)


class _Writer(NamedTuple):
    """The parts that write rows: world, speaker and generators."""

    world: World
    speaker: Speaker
    asking: np.random.Generator
    replying: np.random.Generator  # shared with the speaker


def wrong_value(rng: np.random.Generator, item: Item, truth: str, wrong: Wrong) -> str:
    """Draw a false value: next to the truth, any, or the farthest from it."""
    if wrong == "any":
        return pick(rng, tuple(value for value in item.values if value != truth))
    true = item.values.index(truth)
    distances = [abs(n - true) for n in range(len(item.values))]
    wanted = 1 if wrong == "subtle" else max(distances)
    return pick(rng, tuple(v for v, d in zip(item.values, distances, strict=True) if d == wanted))


def _cycled(kinds: tuple[Asked, ...]) -> Iterator[Asked]:
    while True:
        yield from kinds


def _reshuffled(items: list[Item], rng: np.random.Generator) -> Iterator[Item]:
    while True:
        yield from (items[i] for i in rng.permutation(len(items)))
