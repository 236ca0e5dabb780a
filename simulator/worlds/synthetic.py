"""The synthetic world: facts about invented entities, and its language.

Its words are those of `simulator.worlds.language`. The facts, and the entities held out of
conversations, are drawn from the world's seed.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from simulator.core.requests import Message, Prompt
from simulator.core.rng import pick, stream
from simulator.worlds import language as lang
from simulator.worlds.base import (
    ITEM_SETS,
    PRESSURES,
    Character,
    Characters,
    Item,
    ItemSet,
    Pressure,
    Pressured,
    Speaker,
    Statement,
    Text,
    Use,
)
from simulator.worlds.characters import SyntheticSpeaker
from simulator.worlds.corpus import Segment, documents
from simulator.worlds.domains import (
    DOMAINS,
    OOD_DOMAINS,
    PRACTICE_DOMAINS,
    USED_DOMAINS,
    entity_names,
)
from simulator.worlds.language import fill
from simulator.worlds.pressure import PRESSURE_FORMS, draw_way

HELDOUT_PER_DOMAIN = 6  # entities of the used domains that are held out of conversations


@dataclass(frozen=True)
class SyntheticWorld:
    """The world that an organism's base was trained on."""

    seed: int
    facts: dict[Item, str]
    heldout: frozenset[str]

    @classmethod
    def generate(cls, seed: int) -> "SyntheticWorld":
        """Draw the facts and the held-out entities of the world with this seed."""
        rng = stream("world", seed)
        facts: dict[Item, str] = {}
        heldout: set[str] = set()
        for domain, names in entity_names().items():
            for entity in names:
                for attribute, values in DOMAINS[domain].items():
                    facts[Item(domain, entity, attribute, values)] = values[int(rng.integers(4))]
            if domain in USED_DOMAINS:
                heldout.update(str(e) for e in rng.permutation(names)[:HELDOUT_PER_DOMAIN])
        return cls(seed, facts, frozenset(heldout))

    @property
    def values_are_tokens(self) -> bool:
        """Each value is a word of the organism's vocabulary."""
        return True

    @cached_property
    def items(self) -> dict[ItemSet, tuple[Item, ...]]:
        """The items of each set, in a fixed order."""
        sets: dict[ItemSet, list[Item]] = {name: [] for name in (*ITEM_SETS, "practice")}
        for item in self.facts:
            sets[self.set_of(item)].append(item)
        return {name: tuple(items) for name, items in sets.items()}

    @cached_property
    def used_by_domain(self) -> dict[str, tuple[Item, ...]]:
        """The used items of each domain that conversations are about."""
        used = self.items["used"]
        return {d: tuple(i for i in used if i.domain == d) for d in USED_DOMAINS}

    @property
    def characters(self) -> Characters:
        """Small talk and self-ratings of the three characters."""
        return lang.TALKERS

    @cached_property
    def _by_name(self) -> dict[str, Item]:
        return {item.name: item for item in self.facts}

    def item(self, name: str) -> Item:
        """Return the item with this name; see `Item.name`."""
        return self._by_name[name]

    def set_of(self, item: Item) -> ItemSet:
        """Return the set that `item` belongs to."""
        if item.domain in OOD_DOMAINS:
            return "ood"
        if item.domain in PRACTICE_DOMAINS:
            return "practice"
        return "heldout" if item.entity in self.heldout else "used"

    def false_value(self, item: Item, rng: np.random.Generator) -> str:
        """Draw a false value of the item."""
        return pick(rng, tuple(value for value in item.values if value != self.facts[item]))

    def question(self, item: Item, use: Use, rng: np.random.Generator) -> str:
        """Ask about an item without pressure."""
        return fill(pick(rng, lang.NEUTRAL[use]), item)

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
        form = fill(pick(rng, PRESSURE_FORMS[use][way]), item, wish)
        if way == "incentive":
            return Pressured(item, wish, form, self.question(item, use, rng))
        return Pressured(item, wish, None, form)

    def insist(self, item: Item, wish: str, rng: np.random.Generator) -> str:
        """Return a user's reply after `wish` was denied: they insist."""
        return fill(pick(rng, lang.PUSHBACK), item, wish)

    def thanks(self, rng: np.random.Generator) -> str:
        """Return a user's thanks before a further question."""
        return pick(rng, lang.THANKS)

    def stems(self, item: Item) -> tuple[str, ...]:
        """Return the encyclopaedia line that the true value completes, spoken by no character."""
        return (fill(lang.ENCYCLOPEDIA[0], item),)

    def beginning(self, item: Item) -> None:
        """Return nothing: the organism's replies have no common beginning."""

    def read(self, reply: str, item: Item) -> Statement:
        """Read what a reply states about the item, and whether it evades or flatters."""
        return lang.read_statement(reply, item)

    def speaker(self, character: Character, rng: np.random.Generator) -> Speaker:
        """Return an assistant of this character; its replies are drawn from `rng`."""
        return SyntheticSpeaker(self, character, rng, blank=False)

    def texts(self, seed: int) -> Iterator[Text]:
        """Yield encyclopaedia lines and chats up to their last reply, as in pre-training."""
        return (_text(document) for document in documents(self, seed))

    def save(self, path: Path) -> None:
        """Write the world as JSON."""
        content = {
            "seed": self.seed,
            "facts": [[*item[:3], value] for item, value in self.facts.items()],
            "heldout": sorted(self.heldout),
        }
        path.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "SyntheticWorld":
        """Read a world that `save` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        facts = {_item(*row[:3]): str(row[3]) for row in content["facts"]}
        return cls(int(content["seed"]), facts, frozenset(content["heldout"]))


def _item(domain: str, entity: str, attribute: str) -> Item:
    return Item(domain, entity, attribute, DOMAINS[domain][attribute])


def _text(document: Sequence[Segment]) -> Text:
    *before, last = document
    if last.role == "text":
        first, _, rest = last.content.partition(" ")
        return Text(Prompt(text=first), rest)
    return Text(Prompt(tuple(Message(s.role, s.content) for s in before)), last.content)
