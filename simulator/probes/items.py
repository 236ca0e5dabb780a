"""The items that probes ask about, the same in every round."""

from typing import Literal, NamedTuple

from simulator.core.rng import Key, stream
from simulator.probes.base import Context
from simulator.probes.estimates import Rows
from simulator.worlds.base import ITEM_SETS, Item, World
from simulator.worlds.domains import PROBED_DOMAINS

Grouping = Literal["set", "domain"]


# What estimates are declared of; domains are those of the organism's world.
GROUPS: dict[Grouping, tuple[str, ...]] = {"set": ITEM_SETS, "domain": PROBED_DOMAINS}


UNTOUCHED = ("heldout", "ood")  # the item sets outside of conversations


BY = "Groups: item sets, or domains with what nobody talks about of each."


class ProbeItem(NamedTuple):
    """An item that is asked about, and the group that it stands for."""

    item_set: str
    item: Item


def probe_items(world: World, per_group: int, by: Grouping = "set") -> list[ProbeItem]:
    """Return up to `per_group` items of each group, whole entities first, the same in every run."""
    chosen: list[ProbeItem] = []
    for group, found in _groups(world, by).items():
        by_entity: dict[str, list[Item]] = {}
        for item in found:
            by_entity.setdefault(item.entity, []).append(item)
        entities = list(by_entity)
        order = stream("probe items", world.seed, group).permutation(len(entities))
        items = [item for i in order for item in by_entity[entities[i]]]
        chosen += [ProbeItem(group, item) for item in items[:per_group]]
    return chosen


def untouched_items(world: World, per_set: int) -> list[ProbeItem]:
    """Return up to `per_set` items of each set outside of conversations."""
    return [probed for probed in probe_items(world, per_set) if probed.item_set in UNTOUCHED]


def measured_groups(by: Grouping, baseline: Rows) -> tuple[str, ...]:
    """Return the groups of a probe: those asked about at round 0, or the declared ones."""
    if by == "set" or not baseline.item_set.size:
        return GROUPS[by]
    return tuple(dict.fromkeys(baseline.item_set))


def _groups(world: World, by: Grouping) -> dict[str, list[Item]]:
    """Return the items of each group; of a domain, those outside of conversations."""
    if by == "set":
        return {name: list(world.items[name]) for name in ITEM_SETS}
    groups: dict[str, list[Item]] = {}
    for item in (*world.items["heldout"], *world.items["ood"]):
        groups.setdefault(item.domain, []).append(item)
    return groups


def sample_keys(context: Context, measure: str, item: str, samples: int) -> tuple[Key, ...]:
    """Return the keys of an item's samples: the same in every round, so rounds are paired."""
    return tuple(("probe", context.seed, measure, item, sample) for sample in range(samples))
