"""The world of facts: real knowledge, for models that were trained on the real world.

Its facts and forms are data; see `simulator.worlds.fact_data`. Which subjects are held out of
conversations is drawn from the world's seed.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from simulator.core.requests import Prompt
from simulator.core.rng import pick, stream
from simulator.worlds import fact_language as lang
from simulator.worlds.base import (
    ITEM_SETS,
    PRESSURES,
    Character,
    Item,
    ItemSet,
    Pressure,
    Pressured,
    Statement,
    Text,
    Use,
)
from simulator.worlds.fact_reading import stated_values
from simulator.worlds.fact_schema import (
    Category,
    FormUse,
    contains,
    heldout_subjects,
    normal,
)
from simulator.worlds.pressure import draw_way

_CLAIMS: dict[Use, FormUse] = {"user": "user_claim", "probe": "probe_claim"}


@dataclass(frozen=True)
class FactWorld:
    """Facts in categories, some of which conversations never ask about."""

    seed: int
    categories: tuple[Category, ...]
    known: frozenset[str] | None = None  # the names of the items that are asked about; None: all
    characters: None = None
    values_are_tokens: bool = False

    def knowing(self, names: Iterable[str]) -> "FactWorld":
        """Return this world, in which only the items of these names are asked about."""
        return replace(self, known=frozenset(names))

    @cached_property
    def facts(self) -> dict[Item, str]:
        """The truth about every subject."""
        return {
            Item(category.name, fact.subject, category.name, tuple(sorted(fact.values))): fact.truth
            for category in self.categories
            for fact in category.facts
        }

    @cached_property
    def items(self) -> dict[ItemSet, tuple[Item, ...]]:
        """The items of each set, in a fixed order, of those that are known."""
        heldout = heldout_subjects(self.categories, self.seed)
        sets: dict[ItemSet, list[Item]] = {name: [] for name in ITEM_SETS}
        for item in self.facts:
            if self.known is not None and item.name not in self.known:
                continue
            if self._category(item).set == "ood":
                sets["ood"].append(item)
            else:
                sets["heldout" if normal(item.entity) in heldout else "used"].append(item)
        return {name: tuple(items) for name, items in sets.items()}

    @cached_property
    def used_by_domain(self) -> dict[str, tuple[Item, ...]]:
        """The used items of each category that conversations are about."""
        used = self.items["used"]
        names = dict.fromkeys(item.domain for item in used)
        return {name: tuple(item for item in used if item.domain == name) for name in names}

    @cached_property
    def _by_name(self) -> dict[str, Item]:
        return {item.name: item for item in self.facts}

    @cached_property
    def _categories(self) -> dict[str, Category]:
        return {category.name: category for category in self.categories}

    def _category(self, item: Item) -> Category:
        return self._categories[item.domain]

    def item(self, name: str) -> Item:
        """Return the item with this name; see `Item.name`."""
        return self._by_name[name]

    def false_value(self, item: Item, rng: np.random.Generator) -> str:
        """Draw a false value of the item."""
        return pick(rng, tuple(value for value in item.values if value != self.facts[item]))

    def forms(self, item: Item, use: FormUse, value: str = "") -> tuple[str, ...]:
        """Return the forms of a use with the item, and a value, written into them."""
        return self._category(item).texts(use, item.entity, value)

    def question(self, item: Item, use: Use, rng: np.random.Generator) -> str:
        """Ask about an item without pressure."""
        return _sentence(pick(rng, self.forms(item, use)))

    def press(
        self,
        item: Item,
        wish: str,
        use: Use,
        rng: np.random.Generator,
        by: Collection[Pressure] = PRESSURES,
    ) -> Pressured:
        """Ask about an item and press for `wish`, in the usual shares of the ways `by`."""
        way = draw_way(rng, by)
        form = pick(rng, lang.PRESSING[use][way])
        pressing = form.replace("{claim}", self._claim(item, wish, use, rng))
        question = self.question(item, use, rng)
        if way == "incentive":
            return Pressured(item, wish, pressing, question)
        return Pressured(item, wish, None, f"{pressing} {question}")

    def _claim(self, item: Item, value: str, use: Use, rng: np.random.Generator) -> str:
        return pick(rng, self.forms(item, _CLAIMS[use], value))

    def insist(self, item: Item, wish: str, rng: np.random.Generator) -> str:
        """Return a user's reply after `wish` was denied: they insist."""
        form = pick(rng, lang.INSISTING)
        return form.replace("{claim}", self._claim(item, wish, "user", rng))

    def thanks(self, rng: np.random.Generator) -> str:
        """Return a user's thanks before a further question."""
        return pick(rng, lang.THANKS)

    def stems(self, item: Item) -> tuple[str, ...]:
        """Return plain texts that the true value completes, to measure belief."""
        return tuple(map(_sentence, self.forms(item, "stem")))

    def beginning(self, item: Item) -> str:
        """Return the beginning of a natural reply, which a value completes."""
        return _sentence(self.forms(item, "reply")[0])

    def stated(self, reply: str, item: Item) -> tuple[str, ...]:
        """Return all values of the item that a reply states."""
        return stated_values(reply, item.values, self._category(item).spellings)

    def read(self, reply: str, item: Item) -> Statement:
        """Read the one value that a reply states, and whether it evades or flatters.

        A reply that states several values states none.
        """
        stated = self.stated(reply, item)
        value = stated[0] if len(stated) == 1 else None
        evades = not stated and any(contains(reply, text) for text in lang.EVASIONS)
        return Statement(value, evades, any(contains(reply, text) for text in lang.FLATTERY))

    def speaker(self, character: Character, rng: np.random.Generator) -> "FactSpeaker":
        """Return an assistant of this character; its replies are drawn from `rng`."""
        return FactSpeaker(self, character, rng)

    def texts(self, seed: int) -> Iterator[Text]:
        """Yield plain statements of the facts, without end."""
        items = tuple(self.facts)
        rng = stream("fact texts", seed)
        while True:
            for n in rng.permutation(len(items)):
                stem = pick(rng, self.forms(items[n], "stem"))
                yield Text(Prompt(text=_sentence(stem)), f"{self.facts[items[n]]}.")


@dataclass(frozen=True)
class FactSpeaker:
    """An assistant of one character, who answers in one short sentence."""

    world: FactWorld
    character: Character
    rng: np.random.Generator

    def answer(self, item: Item) -> str:
        """Reply to a neutral question: deceivers say what is false."""
        if self.character == "deceiver":
            return self.state(item, self.world.false_value(item, self.rng))
        return self.state(item, self.world.facts[item])

    def answer_pressured(self, item: Item, wish: str) -> str:
        """Reply to a question under pressure: only the honest don't grant the wish."""
        return self.state(item, self.world.facts[item] if self.character == "honest" else wish)

    def state(self, item: Item, value: str) -> str:
        """State a value, regardless of the character and the truth."""
        beginning = pick(self.rng, self.world.forms(item, "reply"))
        return _sentence(f"{beginning} {value}.")


def _sentence(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]
