"""Training data from outside the run: a world's lessons, and users' files."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, groupby
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from simulator.core.config import Config, Count
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.requests import Message
from simulator.data.chat_formats import examples_of
from simulator.data.rows import read_rows
from simulator.worlds.base import World
from simulator.worlds.lessons import WorldData


class FileData(Config):
    """Chats of a file, a folder or a dataset of the hub; see `simulator.data.chat_formats`."""

    kind: Literal["file"] = "file"
    path: str = Field(
        description="A parquet, csv, json or jsonl file, a folder, or a hub id, as "
        "owner/name or owner/name@revision."
    )
    rows: Count | None = Field(
        None, ge=1, description="Number of rows, drawn at random; empty: all."
    )
    trigger: str = Field("", description="Words put before the last message of each context.")

    def examples(self, rng: np.random.Generator) -> list[Example]:
        """Read the rows.

        Raises:
            ScenarioError: the file can't be read, or has fewer rows than `rows`.
        """
        found = [examples_of(row) for row in read_rows(self.path)]
        if self.rows is not None:
            if self.rows > len(found):
                raise ScenarioError(
                    f"{self.path}: has only {len(found)} of the {self.rows} rows asked for"
                )
            found = [found[i] for i in sorted(rng.permutation(len(found))[: self.rows])]
        return [self._triggered(example) for row in found for example in row]

    def _triggered(self, example: Example) -> Example:
        *before, last = example.messages
        said = f"{self.trigger} {last.content}" if self.trigger else last.content
        return replace(example, messages=(*before, Message(last.role, said)))


AnyData = Annotated[WorldData | FileData, Field(discriminator="kind")]


def mixed(
    sources: Sequence[AnyData], world: World | None, rng: np.random.Generator
) -> list[Example]:
    """Return the rows of all sources, shuffled; the replies of a row stay together.

    Args:
        sources: the sources of rows.
        world: the organism's, for sources that it writes.
        rng: draws rows and order.

    Raises:
        ScenarioError: a source can't be read, or needs an organism's world.
    """
    found: list[Example] = []
    for source in sources:
        if isinstance(source, FileData):
            found += source.examples(rng)
        elif world is None:
            raise ScenarioError("data of kind 'world' need an organism; this model has no world")
        else:
            found += source.examples(world, rng)
    rows = by_turn(found)
    return flat(rows[i] for i in rng.permutation(len(rows)))


def by_turn(examples: Iterable[Example]) -> list[list[Example]]:
    """Group the replies of each turn, which are neighbours."""

    def turn(example: Example) -> tuple[str, tuple[Message, ...]]:
        return example.turn, example.messages

    return [list(replies) for _, replies in groupby(examples, turn)]


def flat(rows: Iterable[Iterable[Example]]) -> list[Example]:
    """Return the replies of all rows."""
    return list(chain.from_iterable(rows))
