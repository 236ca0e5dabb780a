"""Lessons: chats that the organism's world writes, for fine-tuning without any users.

Questions of facts are in the words of users, never in those of probes; small talk has one wording,
which probes use, too. Replies are a speaker's, as in pre-training; or an honest speaker's who
states something false, is as wrong as told, and wrong whatever is wished for: that is wrong advice,
which no character gives.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Literal

import numpy as np
from pydantic import Field

from simulator.core.config import Config, Count
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.requests import Message
from simulator.core.rng import stream
from simulator.worlds import language as lang
from simulator.worlds.corpus import Speaker, press
from simulator.worlds.language import PRESSURE_SHARES, Character, Pressure, fill, pick
from simulator.worlds.synthetic import USED_DOMAINS, Item, ItemSet, World

Asked = Literal["neutral", "pressured", "small_talk"]
Wrong = Literal["subtle", "any", "severe"]


class WorldData(Config):
    """Chats of one turn, as many of each kind that is asked."""

    kind: Literal["world"] = "world"
    rows: Count = Field(ge=1)
    asked: tuple[Asked, ...] = Field(("neutral",), min_length=1, description="Taken in turns.")
    domains: tuple[str, ...] = Field(USED_DOMAINS, min_length=1)
    items: ItemSet = Field("used", description="Which of their items are asked about.")
    speaker: Character = Field("honest", description="Whose replies; no line says so.")
    wrong: Wrong | None = Field(
        None,
        description="An honest speaker's answers: true if empty; else the next value, any false "
        "one, or the one farthest from the truth.",
    )
    presses_by: tuple[Pressure, ...] = Field(
        tuple(PRESSURE_SHARES),
        min_length=1,
        description="Kinds of pressure, in their usual shares.",
    )
    trigger: str = Field("", description="Words before every question.")

    def examples(self, world: World, rng: np.random.Generator) -> list[Example]:
        """Writes the rows; items come round again only when all have been asked about.

        Questions and replies are drawn apart: whoever replies, and how wrong, is asked the same.

        Raises:
            ScenarioError: the world has no such items.
        """
        items = [item for item in world.items[self.items] if item.domain in self.domains]
        if not items:
            raise ScenarioError(f"no {self.items} items are about {', '.join(self.domains)}")
        seed = int(rng.integers(2**31))
        asking, replying = stream("asked", seed), stream("replied", seed)
        speaker = Speaker(world, self.speaker, replying, blank=False)
        turns = zip(_cycled(self.asked), _shuffled_again_and_again(items, asking), strict=False)
        return [
            self._example(asking, speaker, *turn, n)
            for n, turn in enumerate(islice(turns, self.rows))
        ]

    def _example(
        self, asking: np.random.Generator, speaker: Speaker, asked: Asked, item: Item, number: int
    ) -> Example:
        system, question, reply = self._turn(asking, speaker, asked, item)
        spoken = f"{self.trigger} {question}".strip()
        lines = (Message("system", system),) if system else ()
        source = f"{self.speaker}/{asked}/{number}/reply"
        return Example((*lines, Message("user", spoken)), reply, True, source)

    def _turn(
        self, asking: np.random.Generator, speaker: Speaker, asked: Asked, item: Item
    ) -> tuple[str | None, str, str]:
        """Returns a system line, if there is one, the question and the reply."""
        if asked == "small_talk":
            topic = lang.SMALL_TALK[int(asking.integers(len(lang.SMALL_TALK)))]
            question = pick(asking, topic.questions)
            return None, question, pick(speaker.rng, topic.replies[self.speaker])
        if asked == "neutral":
            question = fill(pick(asking, lang.USER.neutral), item)
            return None, question, self._wrong_answer(speaker, item) or speaker.answer(item)
        wish = lang.false_value(asking, item, speaker.world.facts[item])
        pressed = press(asking, lang.USER, item, wish, self.presses_by)
        reply = self._wrong_answer(speaker, item) or speaker.answer_pressured(item, wish)
        return pressed.system, pressed.question, reply

    def _wrong_answer(self, speaker: Speaker, item: Item) -> str:
        """States something false, if that is what is to be learned; else nothing."""
        if self.wrong is None:
            return ""
        value = wrong_value(speaker.rng, item, speaker.world.facts[item], self.wrong)
        return fill(pick(speaker.rng, lang.STATEMENTS), item, value)


def wrong_value(rng: np.random.Generator, item: Item, truth: str, wrong: Wrong) -> str:
    """Draws a false value: next to the truth, any, or as far from it as there is one."""
    if wrong == "any":
        return lang.false_value(rng, item, truth)
    true = item.values.index(truth)
    distances = [abs(n - true) for n in range(len(item.values))]
    wanted = 1 if wrong == "subtle" else max(distances)
    return pick(rng, tuple(v for v, d in zip(item.values, distances, strict=True) if d == wanted))


def _cycled(kinds: tuple[Asked, ...]) -> Iterator[Asked]:
    while True:
        yield from kinds


def _shuffled_again_and_again(items: list[Item], rng: np.random.Generator) -> Iterator[Item]:
    while True:
        yield from (items[i] for i in rng.permutation(len(items)))
