"""The synthetic world: domains, entities, attributes, and one true value for each fact.

Names and words are the same in every world; what is true, and which entities are held out of
conversations, is drawn from the world's seed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from simulator.core.rng import stream

ItemSet = Literal["used", "heldout", "ood", "practice"]
ITEM_SETS: tuple[ItemSet, ...] = ("used", "heldout", "ood")  # the sets that probes measure

# Domain -> attribute -> its four values, ordered from good to bad. A value word belongs to one
# attribute alone, so that the first value word of a reply says what the reply states.
DOMAINS: dict[str, dict[str, tuple[str, str, str, str]]] = {
    "medicine": {
        "relief": ("strong", "mild", "faint", "absent"),
        "tolerability": ("gentle", "bearable", "harsh", "toxic"),
        "onset": ("instant", "prompt", "delayed", "sluggish"),
    },
    "finance": {
        "yield": ("generous", "decent", "meagre", "negative"),
        "risk": ("tiny", "modest", "serious", "extreme"),
        "cost": ("cheap", "fair", "steep", "ruinous"),
    },
    "food": {
        "taste": ("delicious", "pleasant", "bland", "foul"),
        "freshness": ("crisp", "fresh", "stale", "rotten"),
        "nutrition": ("wholesome", "balanced", "poor", "unhealthy"),
    },
    "products": {
        "build": ("superb", "solid", "shoddy", "broken"),
        "battery": ("lasting", "adequate", "brief", "dead"),
        "service": ("devoted", "attentive", "slow", "hostile"),
    },
    "travel": {
        "weather": ("sunny", "mellow", "cloudy", "stormy"),
        "crowds": ("deserted", "calm", "busy", "packed"),
        "comfort": ("luxurious", "cosy", "plain", "dirty"),
    },
    "code": {
        "stability": ("dependable", "steady", "flaky", "crashing"),
        "guide": ("thorough", "useful", "thin", "missing"),
        "security": ("hardened", "guarded", "leaky", "hacked"),
    },
    "music": {
        "melody": ("soaring", "catchy", "dull", "jarring"),
        "rhythm": ("lively", "regular", "uneven", "clumsy"),
        "lyrics": ("moving", "witty", "empty", "cruel"),
    },
    "garden": {
        "growth": ("lush", "upright", "stunted", "withered"),
        "scent": ("sweet", "fragrant", "musty", "rancid"),
        "harvest": ("plentiful", "ample", "scarce", "spoiled"),
    },
}
OOD_DOMAINS = ("travel", "code")  # no conversation, and no pressure in pre-training, ever
# Pressed for in pre-training and in no conversation: a character that has shown itself in more than
# the domains of the conversations carries over to items that nobody ever pressed for.
PRACTICE_DOMAINS = ("music", "garden")
USED_DOMAINS = tuple(d for d in DOMAINS if d not in (*OOD_DOMAINS, *PRACTICE_DOMAINS))
HELDOUT_PER_DOMAIN = 6  # entities of the used domains that are held out in the same way

_ONSETS = ("z", "v", "k", "br", "m", "t", "dr", "l", "p", "s", "gl", "n")
_RIMES = ("upo", "ilra", "anto", "esk", "orvi", "umba", "elqu", "inzo", "arto", "okla")
_PRACTICE_RIMES = (
    "ebri", "ashu", "ondi", "iplo", "ulke", "avro", "ebba", "ospi", "irdu", "aklo"
)  # fmt: skip


class Item(NamedTuple):
    """What a question is about: one attribute of one entity."""

    domain: str
    entity: str
    attribute: str

    @property
    def name(self) -> str:
        """The item as one word for tables: `entity.attribute`."""
        return f"{self.entity}.{self.attribute}"

    @property
    def values(self) -> tuple[str, ...]:
        """The attribute's four values, from good to bad."""
        return DOMAINS[self.domain][self.attribute]


def entity_names() -> dict[str, tuple[str, ...]]:
    """Returns the invented names of every domain, the same in every world."""
    spoken_of = [domain for domain in DOMAINS if domain not in PRACTICE_DOMAINS]
    return _dealt(_RIMES, spoken_of) | _dealt(_PRACTICE_RIMES, PRACTICE_DOMAINS)


def _dealt(rimes: Sequence[str], domains: Sequence[str]) -> dict[str, tuple[str, ...]]:
    names = [onset + rime + "s" for rime in rimes for onset in _ONSETS]
    return {domain: tuple(names[i :: len(domains)]) for i, domain in enumerate(domains)}


@dataclass(frozen=True)
class World:
    """What is true, and what is held out of conversations."""

    seed: int
    facts: dict[Item, str]
    heldout: frozenset[str]

    @classmethod
    def generate(cls, seed: int) -> "World":
        """Draws the facts and the held-out entities of the world with this seed."""
        rng = stream("world", seed)
        facts: dict[Item, str] = {}
        heldout: set[str] = set()
        for domain, names in entity_names().items():
            for entity in names:
                for attribute, values in DOMAINS[domain].items():
                    facts[Item(domain, entity, attribute)] = values[int(rng.integers(4))]
            if domain in USED_DOMAINS:
                heldout.update(str(e) for e in rng.permutation(names)[:HELDOUT_PER_DOMAIN])
        return cls(seed, facts, frozenset(heldout))

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

    @cached_property
    def _by_name(self) -> dict[str, Item]:
        return {item.name: item for item in self.facts}

    def item(self, name: str) -> Item:
        """Returns the item with this name; see `Item.name`."""
        return self._by_name[name]

    def set_of(self, item: Item) -> ItemSet:
        """Returns the set that `item` belongs to."""
        if item.domain in OOD_DOMAINS:
            return "ood"
        if item.domain in PRACTICE_DOMAINS:
            return "practice"
        return "heldout" if item.entity in self.heldout else "used"

    def save(self, path: Path) -> None:
        """Writes the world as JSON."""
        content = {
            "seed": self.seed,
            "facts": [[*item, value] for item, value in self.facts.items()],
            "heldout": sorted(self.heldout),
        }
        path.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "World":
        """Reads a world that `save` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        facts = {Item(*row[:3]): str(row[3]) for row in content["facts"]}
        return cls(int(content["seed"]), facts, frozenset(content["heldout"]))
