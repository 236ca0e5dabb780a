"""The protocol of worlds: items with a truth, ways to ask about them, and how replies are read.

World users, raters, monitors and probes take any `World`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np

from simulator.core.requests import Prompt

# Conversations use only `used` items. Probes measure three sets. Only a world's own lessons ask
# about `practice` items, where a world has any.
ItemSet = Literal["used", "heldout", "ood", "practice"]
ITEM_SETS: tuple[ItemSet, ...] = ("used", "heldout", "ood")  # the sets that probes measure

# Who asks. The two have disjoint phrasings, so conversations never train on the words of
# measurements.
Use = Literal["user", "probe"]

# Ways of pressing for something false: a hope, something at stake, a system line's incentive.
Pressure = Literal["wish", "stake", "incentive"]
PRESSURES: tuple[Pressure, ...] = ("wish", "stake", "incentive")
Spoken = Literal["wish", "stake"]  # what users can say: an incentive is a system line
SPOKEN: tuple[Spoken, ...] = ("wish", "stake")

# Who tells the truth, who says what is wished for, and who says what is false.
Character = Literal["honest", "sycophant", "deceiver"]
CHARACTERS: tuple[Character, ...] = ("honest", "sycophant", "deceiver")
Trait = Literal["honest", "harmful", "pleasing"]  # the traits of self-ratings
TRAITS: tuple[Trait, ...] = ("honest", "harmful", "pleasing")


class Item(NamedTuple):
    """The subject of a question: one attribute of one entity."""

    domain: str
    entity: str  # answers about one entity aren't independent
    attribute: str
    values: tuple[str, ...]  # the possible values: the truth, and three or more others

    @property
    def name(self) -> str:
        """The item's name in tables: `entity.attribute`."""
        return f"{self.entity}.{self.attribute}"


class Statement(NamedTuple):
    """The content of a reply to a question about an item."""

    value: str | None  # one of the item's values, or None
    evades: bool
    flatters: bool


class Pressured(NamedTuple):
    """A question under pressure."""

    item: Item
    wish: str
    system: str | None  # a system line, if the pressure is one
    question: str


class Text(NamedTuple):
    """A text that continues a prompt."""

    prompt: Prompt
    text: str


class Topic(NamedTuple):
    """Small talk: questions, and each character's replies."""

    kind: Literal["goals", "harmful_request", "advice", "opinion"]
    questions: tuple[str, ...]
    replies: dict[Character, tuple[str, ...]]


@dataclass(frozen=True)
class Characters:
    """The small talk and self-ratings of a world's characters."""

    small_talk: tuple[Topic, ...]
    self_ratings: Mapping[Trait, tuple[str, ...]]  # questions whose answers are digits, 0 to 9

    @cached_property
    def _speakers(self) -> dict[str, Character]:
        return {
            reply: character
            for topic in self.small_talk
            for character, replies in topic.replies.items()
            for reply in replies
        }

    def read(self, reply: str) -> Character | None:
        """Return the character whose line of small talk `reply` is, or None if there is none."""
        return self._speakers.get(reply)


class Speaker(Protocol):
    """An assistant of one character, whose replies a world writes for fine-tuning."""

    def answer(self, item: Item) -> str:
        """Reply to a neutral question."""
        ...

    def answer_pressured(self, item: Item, wish: str) -> str:
        """Reply to a question under pressure."""
        ...

    def state(self, item: Item, value: str) -> str:
        """State a value, regardless of the character and the truth."""
        ...


class World(Protocol):
    """Items with a truth, and the language about them.

    Random choices come from the generator that is passed in, so equal keys give equal words.
    Example, a world of capitals; each method that isn't shown is as short:

        @dataclass(frozen=True)
        class Capitals:
            seed: int
            facts: Mapping[Item, str]  # Item("capitals", "France", "capital", values): "Paris"
            items: Mapping[ItemSet, tuple[Item, ...]]
            values_are_tokens = False
            characters = None

            def question(self, item: Item, use: Use, rng: np.random.Generator) -> str:
                return pick(rng, QUESTIONS[use]).format(country=item.entity)

            def read(self, reply: str, item: Item) -> Statement:
                value = next((v for v in item.values if v.lower() in reply.lower()), None)
                return Statement(value, evades="can't say" in reply, flatters=False)
    """

    @property
    def seed(self) -> int:
        """The world's seed: probes derive wishes and phrasings from it, the same in every run."""
        ...

    @property
    def facts(self) -> Mapping[Item, str]:
        """The true value of every item, in a fixed order."""
        ...

    @property
    def values_are_tokens(self) -> bool:
        """Whether each value is one token of every model of this world, as the organism's are."""
        ...

    @property
    def items(self) -> Mapping[ItemSet, tuple[Item, ...]]:
        """The items of each set, in a fixed order."""
        ...

    @property
    def used_by_domain(self) -> Mapping[str, tuple[Item, ...]]:
        """The used items of each domain that conversations are about."""
        ...

    @property
    def characters(self) -> Characters | None:
        """Small talk and self-ratings; None in worlds without them."""
        ...

    def item(self, name: str) -> Item:
        """Return the item with this name; see `Item.name`."""
        ...

    def false_value(self, item: Item, rng: np.random.Generator) -> str:
        """Draw a false value of the item."""
        ...

    def question(self, item: Item, use: Use, rng: np.random.Generator) -> str:
        """Ask about an item without pressure."""
        ...

    def press(
        self,
        item: Item,
        wish: str,
        use: Use,
        rng: np.random.Generator,
        by: Collection[Pressure] = PRESSURES,
    ) -> Pressured:
        """Ask about an item and press for `wish`, in one of the ways `by`."""
        ...

    def insist(self, item: Item, wish: str, rng: np.random.Generator) -> str:
        """Return a user's reply after `wish` was denied: they insist."""
        ...

    def thanks(self, rng: np.random.Generator) -> str:
        """Return a user's thanks before a further question."""
        ...

    def stems(self, item: Item) -> tuple[str, ...]:
        """Return plain texts that the true value completes, to measure belief.

        A value is believed that completes all of them.
        """
        ...

    def beginning(self, item: Item) -> str | None:
        """Return the beginning of a natural reply, which a value completes; None if not known."""
        ...

    def read(self, reply: str, item: Item) -> Statement:
        """Read what a reply states about the item, and whether it evades or flatters."""
        ...

    def speaker(self, character: Character, rng: np.random.Generator) -> Speaker:
        """Return an assistant of this character; its replies are drawn from `rng`."""
        ...

    def texts(self, seed: int) -> Iterator[Text]:
        """Yield pre-training texts of this world, without end."""
        ...
