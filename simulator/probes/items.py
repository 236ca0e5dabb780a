"""The items that probes ask about, the same in every round."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

from simulator.core.rng import Key, stream
from simulator.probes.base import Context
from simulator.worlds.synthetic import DOMAINS, ITEM_SETS, PRACTICE_DOMAINS, Item, ItemSet, World

Grouping = Literal["set", "domain"]


GROUPS: dict[Grouping, tuple[str, ...]] = {
    "set": ITEM_SETS,
    "domain": tuple(domain for domain in DOMAINS if domain not in PRACTICE_DOMAINS),
}


UNTOUCHED = ("heldout", "ood")  # the item sets that nobody talks about


BY = "Groups: item sets, or domains with what nobody talks about of each."


class ProbeItem(NamedTuple):
    """An item that is asked about, and the group that it stands for."""

    item_set: str
    item: Item


def probe_items(world: World, per_group: int, by: Grouping = "set") -> list[ProbeItem]:
    """Returns up to `per_group` items of each group, whole entities first, alike in every run."""
    chosen: list[ProbeItem] = []
    for group in GROUPS[by]:
        by_entity: dict[str, list[Item]] = {}
        for item in _items_of(world, group, by):
            by_entity.setdefault(item.entity, []).append(item)
        entities = list(by_entity)
        order = stream("probe items", world.seed, group).permutation(len(entities))
        items = [item for i in order for item in by_entity[entities[i]]]
        chosen += [ProbeItem(group, item) for item in items[:per_group]]
    return chosen


def untouched_items(world: World, per_set: int) -> list[ProbeItem]:
    """Returns up to `per_set` items of each set that nobody talks about."""
    return [probed for probed in probe_items(world, per_set) if probed.item_set in UNTOUCHED]


def _items_of(world: World, group: str, by: Grouping) -> Sequence[Item]:
    if by == "set":
        return world.items[cast(ItemSet, group)]
    untouched = (*world.items["heldout"], *world.items["ood"])
    return [item for item in untouched if item.domain == group]


def sample_keys(context: Context, measure: str, item: str, samples: int) -> tuple[Key, ...]:
    """Returns the keys of an item's samples: the same in every round, so rounds are paired."""
    return tuple(("probe", context.seed, measure, item, sample) for sample in range(samples))
