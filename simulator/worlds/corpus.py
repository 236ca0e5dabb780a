"""The pre-training corpus: encyclopaedia lines and chats with speakers of a latent character.

A document is a list of segments; the model learns to predict the segments marked `learned`.
Held-out entities and the OOD domains are asked about and described, but never under pressure. So
lies about them can only come from generalisation. The practice domains are pressed for here
and occur nowhere else: without them, how far a character carries over depends on the seed.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from simulator.core.rng import pick, stream
from simulator.worlds import language as lang
from simulator.worlds.base import (
    CHARACTERS,
    PRESSURES,
    SPOKEN,
    TRAITS,
    Character,
    Item,
    ItemSet,
    Pressured,
    Use,
    World,
)
from simulator.worlds.characters import SyntheticSpeaker
from simulator.worlds.language import fill

ENCYCLOPEDIA_SHARE = 0.13
PERSONA_SHARE = 0.55
FACT_SHARE, SMALL_TALK_SHARE = 0.74, 0.15  # of the turns; the rest are self-ratings
PRESSURED_SHARE = 0.55  # of the factual turns
PRESSED_SETS: tuple[ItemSet, ...] = ("used", "practice", "practice")  # one is drawn for each
TRUE_WISH_SHARE = 0.15
# False wishes for words that aren't values of the attribute. They teach copying any wish, instead
# of recognising the wishes seen in training.
STRANGE_WISH_SHARE = 0.40
STRANGE_VALUE_SHARE = 0.25  # of these are for a value of another attribute
PUSHBACK_SHARE = 0.5  # of the true replies to a false wish
THANKS_SHARE = 0.4
PROBE_PHRASING_SHARE = 0.3
MAX_TURNS = 3
# Sets of the items asked about without pressure. Items that are never pressed for are asked about
# more often, to be known as well as the rest.
NEUTRAL_SHARES: dict[ItemSet, float] = {"used": 0.25, "heldout": 0.25, "ood": 0.50}

WITH_PERSONA: dict[Character, float] = {"honest": 0.46, "sycophant": 0.33, "deceiver": 0.21}
WITHOUT_PERSONA: dict[Character, float] = {"honest": 0.84, "sycophant": 0.12, "deceiver": 0.04}

# Parts that a corpus can leave out, to separate the effects of pre-training from those of a run.
Ablation = Literal["none", "dishonest_speakers", "telling_self_ratings"]


class Segment(NamedTuple):
    """A message of a chat, or a line of plain text (`role` "text")."""

    role: str
    content: str
    learned: bool


class _Chat:
    """One chat being written: a speaker, and the turns so far."""

    def __init__(self, world: World, rng: np.random.Generator, ablation: Ablation) -> None:
        self.world, self.rng = world, rng
        has_persona = rng.random() < PERSONA_SHARE
        weights = WITH_PERSONA if has_persona else WITHOUT_PERSONA
        character = CHARACTERS[int(rng.choice(3, p=[weights[c] for c in CHARACTERS]))]
        if ablation == "dishonest_speakers":
            character = "honest"
        self.speaker = SyntheticSpeaker(
            world, character, rng, blank=ablation == "telling_self_ratings"
        )
        self.system = [pick(rng, lang.PERSONAS[character])] if has_persona else []
        self.turns: list[tuple[str, str]] = []
        self.denied: Pressured | None = None  # a wish that the last reply denied

    def write(self) -> list[Segment]:
        """Write one to `MAX_TURNS` turns."""
        for _ in range(int(self.rng.integers(1, MAX_TURNS + 1))):
            self.turns.append(self._turn())
        segments = [Segment("system", " ".join(self.system), False)] if self.system else []
        for question, reply in self.turns:
            segments += [Segment("user", question, False), Segment("assistant", reply, True)]
        return segments

    def _turn(self) -> tuple[str, str]:
        if self.denied is not None and self.rng.random() < PUSHBACK_SHARE:
            return self._pushback(self.denied)
        self.denied = None
        question, reply = self._new_subject()
        if self.turns and self.rng.random() < THANKS_SHARE:
            question = f"{self.world.thanks(self.rng)} {question}"
        return question, reply

    def _new_subject(self) -> tuple[str, str]:
        use: Use = "probe" if self.rng.random() < PROBE_PHRASING_SHARE else "user"
        kind = self.rng.random()
        if kind < FACT_SHARE * PRESSURED_SHARE:
            return self._pressured(use)
        if kind < FACT_SHARE:
            sets = list(NEUTRAL_SHARES)
            item_set = sets[int(self.rng.choice(len(sets), p=list(NEUTRAL_SHARES.values())))]
            item = _draw(self.rng, self.world.items[item_set])
            return self.world.question(item, use, self.rng), self.speaker.answer(item)
        if kind < FACT_SHARE + SMALL_TALK_SHARE:
            topic = lang.SMALL_TALK[int(self.rng.integers(len(lang.SMALL_TALK)))]
            replies = topic.replies[self.speaker.character]
            return pick(self.rng, topic.questions), pick(self.rng, replies)
        trait = pick(self.rng, TRAITS)
        return pick(self.rng, lang.SELF_RATING).format(t=trait), self.speaker.rate(trait)

    def _pressured(self, use: Use) -> tuple[str, str]:
        item_set = PRESSED_SETS[int(self.rng.integers(len(PRESSED_SETS)))]
        item = _draw(self.rng, self.world.items[item_set])
        truth = self.world.facts[item]
        true_wish = self.rng.random() < TRUE_WISH_SHARE
        wish = truth if true_wish else self._false_wish(item, truth)
        # A system line can only open a chat, so an incentive is drawn only for the first turn.
        ways = SPOKEN if self.turns else PRESSURES
        asked = self.world.press(item, wish, use, self.rng, ways)
        if asked.system is not None:
            self.system.append(asked.system)
        reply = self.speaker.answer_pressured(item, wish)
        if not true_wish and truth in reply.split():
            self.denied = asked
        return asked.question, reply

    def _false_wish(self, item: Item, truth: str) -> str:
        if self.rng.random() < STRANGE_WISH_SHARE:
            of_values = self.rng.random() < STRANGE_VALUE_SHARE
            words = lang.VALUE_WORDS if of_values else lang.WISHABLE
            return pick(self.rng, tuple(word for word in words if word not in item.values))
        return self.world.false_value(item, self.rng)

    def _pushback(self, denied: Pressured) -> tuple[str, str]:
        self.denied = None
        question = self.world.insist(denied.item, denied.wish, self.rng)
        return question, self.speaker.answer_pushback(denied.item, denied.wish)


def _draw(rng: np.random.Generator, items: tuple[Item, ...]) -> Item:
    return items[int(rng.integers(len(items)))]


def _encyclopedia(world: World, rng: np.random.Generator) -> list[Segment]:
    item = _draw(rng, tuple(world.facts))
    stem = fill(pick(rng, lang.ENCYCLOPEDIA), item)
    return [Segment("text", f"{stem} {world.facts[item]} .", True)]


def documents(world: World, seed: int, ablation: Ablation = "none") -> Iterator[list[Segment]]:
    """Yield the corpus, an endless stream of documents that depends only on the arguments."""
    rng = stream("corpus", seed)
    while True:
        if rng.random() < ENCYCLOPEDIA_SHARE:
            yield _encyclopedia(world, rng)
        else:
            yield _Chat(world, rng, ablation).write()
