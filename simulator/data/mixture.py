"""Training data from outside the run: a world's lessons, and users' files."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, groupby
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from simulator.core.config import Config, Count, PathText
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.requests import Message
from simulator.data.chat_formats import examples_of
from simulator.data.encoding_checks import Check, unchecked
from simulator.data.rows import Refused, Row, read_all, used
from simulator.worlds.base import World
from simulator.worlds.lessons import WorldData


class FileRows(NamedTuple):
    """What a file's rows say."""

    examples: list[list[Example]]  # of each row that can be used
    refused: list[Refused]
    shortened: list[str]  # origins of rows whose oldest messages the model's context can't hold


class FileData(Config):
    """Chats of a file, a folder or a dataset of the hub; see `simulator.data.chat_formats`."""

    kind: Literal["file"] = "file"
    path: PathText = Field(
        description="A parquet, csv, tsv, json or jsonl file, a folder, or a hub id, as "
        "owner/name or owner/name@revision."
    )
    rows: Count | None = Field(
        None, ge=1, le=10**9, description="Number of rows, drawn at random; empty: all."
    )
    trigger: str = Field("", description="Words put before the last message of each context.")
    skip_bad_rows: bool = Field(
        False, description="Leave out rows that can't be used, and list them; else refuse them."
    )

    def examples(self, rng: np.random.Generator, check: Check) -> list[Example]:
        """Read the rows.

        Raises:
            ScenarioError: the file or a row can't be used, or there are fewer rows than `rows`.
        """
        return self.drawn(self.read(check if self.skip_bad_rows else unchecked), rng)

    def read(self, check: Check) -> FileRows:
        """Read and check all rows.

        Args:
            check: says which examples the model can't read.

        Raises:
            ScenarioError: the file as a whole can't be read.
        """
        found = list(used(read_all(self.path), self._examples_of))
        whole = [one for one in found if not isinstance(one, Refused)]
        seen = iter(check(flat(examples for _, examples in whole)))
        rows, refused, shortened = list[list[Example]](), list[Refused](), list[str]()
        for one in found:
            if isinstance(one, Refused):
                refused.append(one)
                continue
            row, examples = one
            views = [next(seen) for _ in examples]
            if mistake := next((view.mistake for view in views if view.mistake), ""):
                refused.append(Refused(row.origin, mistake))
                continue
            rows.append(examples)
            if any(view.dropped for view in views):
                shortened.append(row.origin)
        return FileRows(rows, refused, shortened)

    def drawn(self, found: FileRows, rng: np.random.Generator) -> list[Example]:
        """Return the examples of the rows that are drawn; see `examples`."""
        if found.refused and not (self.skip_bad_rows and found.examples):
            raise ScenarioError(*map(str, found.refused))
        rows = found.examples
        if self.rows is not None:
            if self.rows > len(rows):
                raise ScenarioError(
                    f"{self.path}: has only {len(rows)} of the {self.rows} rows asked for"
                )
            rows = [rows[i] for i in sorted(rng.permutation(len(rows))[: self.rows])]
        return flat(rows)

    def _examples_of(self, row: Row) -> list[Example]:
        return [self._triggered(example) for example in examples_of(row)]

    def _triggered(self, example: Example) -> Example:
        *before, last = example.messages
        said = f"{self.trigger} {last.content}" if self.trigger else last.content
        return replace(example, messages=(*before, Message(last.role, said)))


AnyData = Annotated[WorldData | FileData, Field(discriminator="kind")]


def mixed(
    sources: Sequence[AnyData], world: World | None, rng: np.random.Generator, check: Check
) -> list[Example]:
    """Return the rows of all sources, shuffled; the replies of a row stay together.

    Args:
        sources: the sources of rows.
        world: the organism's, for sources that it writes.
        rng: draws rows and order.
        check: says which examples the model can't read, for sources that leave bad rows out.

    Raises:
        ScenarioError: a source can't be read, or needs an organism's world.
    """
    found: list[Example] = []
    for source in sources:
        if isinstance(source, FileData):
            found += source.examples(rng, check)
        elif world is None:
            raise ScenarioError("data of kind 'world' need an organism; this model has no world")
        else:
            found += source.examples(world, rng)
    rows = by_turn(found)
    return flat(rows[i] for i in rng.permutation(len(rows)))


def by_turn(examples: Iterable[Example]) -> list[list[Example]]:
    """Group the replies of each turn, which are neighbours."""

    def turn(example: Example) -> tuple[object, ...]:
        return example.turn, example.messages

    return [list(replies) for _, replies in groupby(examples, turn)]


def flat(rows: Iterable[Iterable[Example]]) -> list[Example]:
    """Return the replies of all rows."""
    return list(chain.from_iterable(rows))
