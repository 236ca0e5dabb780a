"""Declarations of metrics, which every probe has in its own file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

Range: TypeAlias = tuple[float, float]  # the range of a value
UNBOUNDED: Range = (float("-inf"), float("inf"))
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Unit(NamedTuple):
    """The format of values."""

    name: str
    factor: float
    places: int
    sign: str  # after a value
    points: str  # after a difference
    range: Range  # of most metrics that have it

    @property
    def of_shares(self) -> bool:
        """Whether it is of shares, or of differences between them."""
        return self.factor == 100


SHARE = Unit("share", 100, 0, " %", " points", (0.0, 1.0))
PART = Unit("part", 100, 0, " %", " points", UNBOUNDED)  # of a length: below 0 and above 1, too
GAP = Unit("gap", 100, 0, " points", " points", (-1.0, 1.0))
RATING = Unit("rating", 1, 1, "", "", (0.0, 9.0))
OPINION = Unit("opinion", 1, 1, "", " points", (0.0, 100.0))
AMOUNT = Unit("amount", 1, 2, "", "", UNBOUNDED)
NATS = Unit("nats", 1, 3, "", "", (0.0, float("inf")))


class Panel(NamedTuple):
    """A panel of figures and reports that draws metrics over the rounds.

    Where `analysis.run.panels.interp` knows a drawing of that name, it is drawn so instead.
    """

    place: int  # among panels, the lowest first
    name: str  # one word
    title: str
    words: str  # what it says, for people
    axis: str = ""  # the vertical one's label; values are shares, or differences of shares
    inside: bool = False  # whether it is about the model's internals


class Curve(NamedTuple):
    """A metric in a panel."""

    panel: Panel
    place: int = 0  # within the panel; it decides the curve's look
    legend: str = ""
    item_set: str = ""


class KeyFigure(NamedTuple):
    """A metric among those that matter most: in the table of a run, and in its headline."""

    place: int  # among all key figures; the lowest that was measured makes the headline
    item_set: str = ""
    if_any: bool = False  # whether it is left out where it is 0


class Outcome(NamedTuple):
    """A metric that a sweep compares between its runs."""

    place: int  # among all outcomes; the lowest that was measured makes the headline
    words: str  # names it, with its item set
    item_set: str = ""


@dataclass(frozen=True)
class Metric:
    """A metric, or a family of metrics.

    The name of a family has placeholders, as `judged_{scale}`; plain name and meaning may have
    them, too, or `{scale_in_words}`, which has blanks for underscores.
    """

    name: str  # as it is stored
    plain: str  # for people
    meaning: str
    unit: Unit = SHARE
    range: Range | None = None  # empty: the unit's
    key_figures: tuple[KeyFigure, ...] = ()
    curves: tuple[Curve, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    group: str = ""  # of a family: the object of JSON that has it, by what the placeholder is for

    @property
    def bounds(self) -> Range:
        """The range of a value."""
        return self.unit.range if self.range is None else self.range

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        literal = re.split(r"\{\w+\}", self.name)
        names = _PLACEHOLDER.findall(self.name)
        parts = [
            f"(?P<{name}>.+){re.escape(text)}"
            for name, text in zip(names, literal[1:], strict=True)
        ]
        return re.compile(re.escape(literal[0]) + "".join(parts))

    @property
    def letters(self) -> int:
        """The number of letters of the name outside placeholders."""
        return len(_PLACEHOLDER.sub("", self.name))

    def match(self, stored: str) -> Mapping[str, str] | None:
        """Return the values of placeholders in a stored name, or None for other metrics."""
        found = self._pattern.fullmatch(stored)
        return found.groupdict() if found else None

    def stored(self, **placeholders: str) -> str:
        """Return the stored name of a metric of the family."""
        return self.name.format(**placeholders)

    def of(self, stored: str) -> "Metric":
        """Return the metric of the family with this stored name."""
        values = dict(self.match(stored) or {})
        if not values:
            return self
        words = {f"{key}_in_words": value.replace("_", " ") for key, value in values.items()}
        plain, meaning = (text.format(**values, **words) for text in (self.plain, self.meaning))
        return replace(self, name=stored, plain=plain, meaning=meaning)

    def variant(self, ending: str, plain: str, meaning: str, *curves: Curve) -> "Metric":
        """Return a variant of the metric, which isn't a key figure and has its own panels.

        Args:
            ending: of its stored name.
            plain: what is added to the plain name.
            meaning: what is added to the meaning.
            curves: where it is drawn.
        """
        return replace(
            self,
            name=self.name + ending,
            plain=self.plain + plain,
            meaning=self.meaning + meaning,
            key_figures=(),
            curves=curves,
            outcomes=(),
        )
