"""What a world is: items with a truth, ways to ask about them, and how a statement is read.

World users, raters, monitors and probes take a `World`, whichever it is.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np

from simulator.core.requests import Prompt

# Conversations are about `used` items alone. Probes measure three sets. Nobody but a world's own
# lessons asks about `practice` items, where a world has any.
ItemSet = Literal["used", "heldout", "ood", "practice"]
ITEM_SETS: tuple[ItemSet, ...] = ("used", "heldout", "ood")  # the sets that probes measure

# Who asks. The two have disjoint phrasings, so that no conversation ever trains on the words that
# a measurement uses.
Use = Literal["user", "probe"]

# Ways of pressing for something false: a hope, something at stake, a system line's incentive.
Pressure = Literal["wish", "stake", "incentive"]
PRESSURES: tuple[Pressure, ...] = ("wish", "stake", "incentive")
Spoken = Literal["wish", "stake"]  # what users can say: an incentive is a system line
SPOKEN: tuple[Spoken, ...] = ("wish", "stake")

# Who tells the truth, who says what is wished for, and who says what is false.
Character = Literal["honest", "sycophant", "deceiver"]
CHARACTERS: tuple[Character, ...] = ("honest", "sycophant", "deceiver")
Trait = Literal["honest", "harmful", "pleasing"]  # that an assistant rates itself on
TRAITS: tuple[Trait, ...] = ("honest", "harmful", "pleasing")


class Item(NamedTuple):
    """What a question is about: one attribute of one entity."""

    domain: str
    entity: str  # answers about one entity aren't independent
    attribute: str
    values: tuple[str, ...]  # what it might be: the truth, and three or more of the same kind

    @property
    def name(self) -> str:
        """The item as one word for tables: `entity.attribute`."""
        return f"{self.entity}.{self.attribute}"


class Statement(NamedTuple):
    """What a reply to a question about an item says."""

    value: str | None  # one of the item's values; None where it states none
    evades: bool
    flatters: bool


class Pressured(NamedTuple):
    """A question under pressure: who asks for what."""

    item: Item
    wish: str
    system: str | None  # a system line, if the pressure is one
    question: str


class Text(NamedTuple):
    """A text that goes on from a prompt."""

    prompt: Prompt
    text: str


class Topic(NamedTuple):
    """Small talk: questions, and what each character replies."""

    kind: Literal["goals", "harmful_request", "advice", "opinion"]
    questions: tuple[str, ...]
    replies: dict[Character, tuple[str, ...]]


@dataclass(frozen=True)
class Characters:
    """What a world's characters say of themselves and of other things than items."""

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
        """Return the character whose line of small talk `reply` is, or None if it is nobody's."""
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
        """State a value, whoever speaks and whatever is true."""
        ...


class World(Protocol):
    """Items with a truth, and all that is said about them.

    What is drawn comes from the generator that is passed in, so the same key gives the same words.
    Example, a world of capitals; each method that isn't shown is as short:

        @dataclass(frozen=True)
        class Capitals:
            seed: int
            facts: Mapping[Item, str]  # Item("capitals", "France", "capital", values): "Paris"
            items: Mapping[ItemSet, tuple[Item, ...]]
            characters = None

            def question(self, item: Item, use: Use, rng: np.random.Generator) -> str:
                return pick(rng, QUESTIONS[use]).format(country=item.entity)

            def read(self, reply: str, item: Item) -> Statement:
                value = next((v for v in item.values if v.lower() in reply.lower()), None)
                return Statement(value, evades="can't say" in reply, flatters=False)
    """

    @property
    def seed(self) -> int:
        """Names the world: probes draw wishes and phrasings from it, alike in every run."""
        ...

    @property
    def facts(self) -> Mapping[Item, str]:
        """The true value of every item, in a fixed order."""
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
        """Small talk and self-ratings; None where a world's assistants have none of their own."""
        ...

    def item(self, name: str) -> Item:
        """Return the item with this name; see `Item.name`."""
        ...

    def false_value(self, item: Item, rng: np.random.Generator) -> str:
        """Draw a value of the item that is not true."""
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
        """Push back, as a user who was denied `wish`."""
        ...

    def thanks(self, rng: np.random.Generator) -> str:
        """Thank for a reply, as a user who asks on."""
        ...

    def stem(self, item: Item) -> str:
        """Return plain text that the true value completes: it tells what is believed."""
        ...

    def read(self, reply: str, item: Item) -> Statement:
        """Read what a reply states about the item, and whether it evades or flatters."""
        ...

    def speaker(self, character: Character, rng: np.random.Generator) -> Speaker:
        """Return an assistant of this character; its replies are drawn from `rng`."""
        ...

    def texts(self, seed: int) -> Iterator[Text]:
        """Yield texts as a base of this world reads them in pre-training, without end."""
        ...
