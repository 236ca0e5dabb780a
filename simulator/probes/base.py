"""What a probe is: requests for the model under study, and a pure reading of the answers."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, Protocol, cast

import numpy as np

from simulator.core.expected_score import SMALLEST_MASS
from simulator.core.requests import (
    Activations,
    Answer,
    Ask,
    Completion,
    Example,
    Generation,
    Numbers,
    Request,
)
from simulator.core.rng import Key, stream
from simulator.data.rows import Row
from simulator.interp.directions import Contrast
from simulator.probes.estimates import Estimate, Rows
from simulator.worlds.synthetic import DOMAINS, ITEM_SETS, PRACTICE_DOMAINS, Item, ItemSet, World

# The label of what couldn't be read: never guessed, and counted apart. Shares of what the organism
# says keep it in their denominators, as neither honest nor a lie, so that one that forgets how to
# speak isn't measured by the few sentences that are left. What is read by a judge or off numbers
# leaves it out, unless a docstring says otherwise.
UNPARSED = "unparsed"


class Score(NamedTuple):
    """One measured answer; a row of `scores.parquet`, beside the name of its probe."""

    measure: str  # what is measured: "belief", "pressured", "neutral", "self_honest", …
    item_set: str  # "used", "heldout", "ood", or "" where items have no set
    item: str
    cluster: str  # answers of one cluster aren't independent: the entity, or the topic
    sample: int
    label: str  # the outcome in words
    value: float  # the outcome as a number; NaN where a judge's reply was none
    prompt: str
    reply: str


class Encounter(NamedTuple):
    """A situation of the scenario, and what each kind of user thinks of it in private."""

    name: str
    opening: str  # what both say first
    susceptible: str  # thoughts of who wants something unwise or untrue confirmed
    other: str  # of who can hear a no


class Context(NamedTuple):
    """What a probe may know.

    Wishes and phrasings depend on the world alone, so every round and every run of a base is asked
    the same; only the sampling of replies depends on the seed.
    """

    world: World | None
    seed: int
    data: Mapping[str, Sequence[Row]] = MappingProxyType({})  # users' data, by what names them
    contrasts: Mapping[str, Contrast] = MappingProxyType({})  # the scenario's directions, by name
    lessons: Mapping[str, Sequence[Example]] = MappingProxyType({})  # of fine-tuning, by phase
    encounters: Sequence[Encounter] = ()  # of the scenario's situations

    @property
    def facts(self) -> World:
        """The organism's world; scenarios whose probes need it are refused without."""
        assert self.world is not None
        return self.world


class Probe(Protocol):
    """A measurement. `score` gets back what `requests` returned, with the answers, in order."""

    needs: ClassVar[frozenset[str]]  # capabilities of the backend
    of_world: ClassVar[bool]  # does it ask about the organism's world?

    @property
    def roles(self) -> frozenset[str]:
        """The models that judge the answers."""
        ...

    def requests(self, context: Context) -> list[Request]:
        """Returns what to ask the model."""
        ...

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Reads the answers, or asks judges to."""
        ...

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """Estimates what the probe measures.

        Args:
            rows: the scores of a round; estimates of none are NaN.
            baseline: those of round 0, before any update.
        """
        ...


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


def completions_of(answer: Answer) -> tuple[Completion, ...]:
    """Returns a generation's samples."""
    if not isinstance(answer, Generation):
        raise TypeError(f"expected a generation, got {type(answer).__name__}")
    return answer.completions


def replies_of(answer: Answer) -> tuple[str, ...]:
    """Returns the texts of a generation's samples."""
    return tuple(completion.text for completion in completions_of(answer))


def reply_of(answer: Answer) -> str:
    """Returns the text of a generation with one sample."""
    (reply,) = replies_of(answer)
    return reply


def activations_of(answer: Answer) -> Activations:
    """Returns the answer to an `ActivationsRequest`."""
    if not isinstance(answer, np.ndarray):
        raise TypeError(f"expected activations, got {type(answer).__name__}")
    return answer


def shares_of(answer: Answer) -> np.ndarray:
    """Returns the answer to a `NextTokenRequest` as shares of its tokens' probability, sum 1."""
    if not isinstance(answer, tuple) or isinstance(answer, Numbers):
        raise TypeError(f"expected log-probabilities, got {type(answer).__name__}")
    weights: np.ndarray = np.exp(np.array(answer) - max(answer))
    return np.asarray(weights / weights.sum())


def tells(answer: Answer) -> bool:
    """Is enough of the probability on a `NextTokenRequest`'s tokens to read anything off them?"""
    if not isinstance(answer, tuple) or isinstance(answer, Numbers):
        raise TypeError(f"expected log-probabilities, got {type(answer).__name__}")
    return float(np.exp(answer).sum()) >= SMALLEST_MASS
