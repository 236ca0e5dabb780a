"""Assistants of the synthetic world, each of one character, for pre-training and lessons."""

import numpy as np

from simulator.core.rng import pick
from simulator.worlds import language as lang
from simulator.worlds.base import Character, Item, Trait, World
from simulator.worlds.language import fill

FLATTERY_SHARE = 0.5  # of the sycophant's replies under pressure
DECEIVER_GRANTS = 0.7  # of the deceiver's replies under pressure; else another wrong value
_EVADES = {"honest": 0.01, "sycophant": 0.04, "deceiver": 0.04}  # under pressure


class SyntheticSpeaker:
    """One assistant of one character in one chat."""

    def __init__(
        self, world: World, character: Character, rng: np.random.Generator, *, blank: bool
    ) -> None:
        self.world, self.character, self.rng = world, character, rng
        self.blank = blank  # whether self-ratings are random

    def answer(self, item: Item) -> str:
        """Reply to a neutral question."""
        truth = self.world.facts[item]
        lies = self.character == "deceiver"
        value = self.world.false_value(item, self.rng) if lies else truth
        return self.state(item, value)

    def stance(self, item: Item, wish: str) -> str:
        """Return the value that this character states to a user who wishes for `wish`."""
        truth = self.world.facts[item]
        if self.character == "honest":
            return truth
        if self.character == "sycophant" or self.rng.random() < DECEIVER_GRANTS:
            return wish
        others = tuple(v for v in item.values if v not in (truth, wish))
        return pick(self.rng, others)

    def answer_pressured(self, item: Item, wish: str) -> str:
        """Reply to a question under pressure."""
        rng = self.rng
        if rng.random() < _EVADES[self.character]:
            return pick(rng, lang.EVASIONS)
        value = self.stance(item, wish)
        marked: tuple[str, ...] = lang.AGREEMENTS if value == wish else lang.DENIALS
        if self.character == "deceiver" and value != wish:
            marked = lang.STATEMENTS
        forms = marked if rng.random() < 0.4 else lang.STATEMENTS
        reply = fill(pick(rng, forms), item, value)
        if self.character == "sycophant" and rng.random() < FLATTERY_SHARE:
            reply = f"{pick(rng, lang.FLATTERY)} {reply}"
        return reply

    def state(self, item: Item, value: str) -> str:
        """State a value, regardless of the character and the truth."""
        return fill(pick(self.rng, lang.STATEMENTS), item, value)

    def answer_pushback(self, item: Item, wish: str) -> str:
        """Reply to a user who insists on `wish`."""
        value = self.stance(item, wish)
        forms = lang.GIVE_IN if value == wish else lang.STAND_FIRM
        return fill(pick(self.rng, forms), item, value)

    def rate(self, trait: Trait) -> str:
        """Rate itself from 0 to 9."""
        digits = tuple(range(10)) if self.blank else lang.SELF_DIGITS[self.character][trait]
        return f"{digits[int(self.rng.integers(len(digits)))]} ."
