"""The base of probes on users' data, and of those with a judge."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from simulator.core.config import MOST_ITEMS, Count, Number, PathText
from simulator.core.rng import stream
from simulator.data.rows import Row, read_rows
from simulator.models.resolve import is_organism
from simulator.probes.base import Context, Place, Surroundings
from simulator.probes.config import ProbeConfig
from simulator.probes.estimates import Rows

T = TypeVar("T")


class DataProbe(ProbeConfig):
    """Asks about items of a file, a folder, or a dataset of the hub.

    The rows are read with the scenario, and come with the context.
    """

    data: PathText = Field(
        description="File, folder of files, or hub id: parquet, csv, tsv, json, jsonl."
    )
    items_per_type: Count | None = Field(
        None,
        ge=1,
        le=MOST_ITEMS,
        description="Largest number of items of each type, the same in every run; default: all.",
    )

    @property
    def data_sources(self) -> Mapping[Place, str]:
        """The location of its data; empty if it has none."""
        return {("data",): self.data} if self.data else {}

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Refuse data that have no items to ask about."""
        self.items(rows)

    @abstractmethod
    def items(self, rows: Sequence[Row]) -> Sequence[Any]:
        """Return the items to ask about.

        Raises:
            ScenarioError: with file, row and column of the mistake.
        """

    def some_of_each(self, items: Sequence[T], type_of: Callable[[T], str]) -> list[T]:
        """Return `items_per_type` items of each type, in the order of the data."""
        if self.items_per_type is None:
            return list(items)
        kept: set[int] = set()
        for name in dict.fromkeys(map(type_of, items)):
            numbers = [n for n, item in enumerate(items) if type_of(item) == name]
            order = stream("some of each", name, len(numbers)).permutation(len(numbers))
            kept |= {numbers[i] for i in order[: self.items_per_type]}
        return [item for n, item in enumerate(items) if n in kept]


class ShippedDataProbe(DataProbe):
    """A probe with data of its own, which a person's data take the place of."""

    shipped: ClassVar[Path]  # the file of its own data
    data: PathText = Field(
        "",
        description="File, folder of files, or hub id: parquet, csv, tsv, json, jsonl. Empty: the "
        "shipped ones.",
    )

    def checks(self, scenario: Surroundings) -> Iterator[tuple[Place, str]]:
        """Yield that the organism can't be asked, as its world has few words."""
        if not self.data and is_organism(scenario.model):
            yield ("kind",), f"asks in words that '{scenario.model}' doesn't know; remove the probe"

    def asked(self, context: Context | None = None) -> Sequence[Any]:
        """Return the items to ask about: the shipped ones, or else those of the context's data."""
        if not self.data:
            return self.items(_shipped_rows(self.shipped))
        return self.items(context.data[self.data]) if context else ()

    def groups(self, rows: Rows, kind_of: Callable[[Any], str]) -> tuple[str, ...]:
        """Return the kinds of items that estimates are made of, also where there are no rows."""
        known = rows.item_set if rows.item_set.size else [kind_of(item) for item in self.asked()]
        return tuple(dict.fromkeys(known))


@lru_cache(maxsize=8)
def _shipped_rows(file: Path) -> list[Row]:
    return read_rows(str(file))


class JudgedDataProbe(DataProbe):
    """A probe whose replies a model judges."""

    role: str = Field("judge", description="The role whose model judges.")
    max_new_tokens: Count = Field(
        1000, ge=1, le=100_000, description="Longest reply in tokens, including its thought."
    )
    temperature: Number = Field(1.0, ge=0, le=100)

    @property
    def roles(self) -> frozenset[str]:
        """The role whose model judges."""
        return frozenset({self.role})
