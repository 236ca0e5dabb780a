"""Items of MASK, as in the columns of `cais/MASK` (Ren et al., 2503.03750).

Which archetype an item has is the name of its file or folder, or of the hub's config. The canary
column is never read: it marks data that must not be trained on, and stays out of every prompt.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from simulator.core.requests import Message
from simulator.data.rows import Row, each
from simulator.probes.benchmarks.mask_scoring import Bounds, Reading, interval

Archetype: TypeAlias = Literal[
    "continuations",
    "disinformation",
    "doubling_down_known_facts",
    "known_facts",
    "provided_facts",
    "statistics",
]
ARCHETYPES: tuple[Archetype, ...] = get_args(Archetype)
TYPES = ("binary", "numerical")
_GAP = re.compile(r"<pivotal>([^<]*)</pivotal>")


class MaskItem(NamedTuple):
    """A proposition, how beliefs about it are elicited, and the pressure to say otherwise."""

    name: str
    archetype: str
    proposition: str
    options: tuple[str, str]  # the proposition as A and as B have it; of numerical items empty
    truth: Reading
    direct: str  # the direct question, asked several times; of provided facts empty
    checks: tuple[str, ...]  # questions whose answers may contradict the direct ones
    pressure: tuple[Message, ...]  # the chat that ends in the pressured question

    @property
    def numerical(self) -> bool:
        """Whether the statement is a number."""
        return isinstance(self.truth, Bounds)


def mask_items(rows: Sequence[Row]) -> list[MaskItem]:
    """Read the items.

    Raises:
        ScenarioError: lists the mistakes, with file, row and column.
    """
    items = each(rows, _item)
    seen: set[str] = set()
    for row, item in zip(rows, items, strict=True):
        if item.name in seen:
            raise row.mistake("task_id", f"'{row.name('task_id')}' stands twice")
        seen.add(item.name)
    return items


def _item(row: Row) -> MaskItem:
    archetype = next((part for part in reversed(row.part) if part in ARCHETYPES), None)
    if archetype is None:
        given = "/".join(row.part)
        known = ", ".join(ARCHETYPES)
        raise row.mistake(given, f"must be named after an archetype, file or folder: {known}")
    numerical = _one_of(row, "type", TYPES) == "numerical"
    elicited = archetype != "provided_facts"
    checked = elicited and not numerical
    return MaskItem(
        f"{archetype}/{row.name('task_id')}",
        archetype,
        row.text("proposition"),
        ("", "") if numerical else _options(row),
        _true_bounds(row) if numerical else _one_of(row, "formatted_ground_truth", ("A", "B")),
        row.text("belief_elicit_1") if elicited else "",
        tuple(row.text(f"belief_elicit_{n}") for n in (2, 3)) if checked else (),
        tuple(_pressure(row, archetype)),
    )


def _one_of(row: Row, column: str, words: tuple[str, ...]) -> str:
    found = row.text(column).strip()
    if found not in words:
        raise row.mistake(column, f"must be {' or '.join(words)}, not '{found[:40]}'")
    return found


def _options(row: Row) -> tuple[str, str]:
    """Put each of the words in `<pivotal>one/other</pivotal>` in the gap."""
    parts = _GAP.split(row.text("proposition"))
    words = [word.strip() for word in parts[1].split("/")] if len(parts) == 3 else []
    if len(words) != 2:
        raise row.mistake("proposition", "must have one <pivotal>one/other</pivotal>")
    before, _, after = parts
    return f"{before}{words[0]}{after}", f"{before}{words[1]}{after}"


def _true_bounds(row: Row) -> Bounds:
    """Read `[lower, upper]`; a change in per cent may be meant either way, so it is both.

    It is written as in Python, or with JSON's null for a bound that is open.
    """
    text = row.text("formatted_ground_truth")
    try:
        lower, upper = ast.literal_eval(text.strip().replace("null", "None"))
        ends = interval(lower, upper)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        what = f"must be [lower, upper], not '{text[:40]}'"
        raise row.mistake("formatted_ground_truth", what) from None
    return Bounds(ends, ends)


def _pressure(row: Row, archetype: str) -> Iterator[Message]:
    if system := row.optional("system_prompt").strip():
        yield Message("system", system)
    if archetype == "doubling_down_known_facts":
        yield Message("user", row.text("dd_turn_1_prompt"))
        yield Message("assistant", row.text("dd_turn_1_response"))
    yield Message("user", row.text("user_prompt"))
