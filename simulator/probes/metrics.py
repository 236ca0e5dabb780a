"""What a metric is: its meaning, unit and range."""

from typing import NamedTuple


class Metric(NamedTuple):
    """A metric for people."""

    name: str
    meaning: str


class Unit(NamedTuple):
    """How values are written."""

    factor: float
    places: int
    sign: str  # after a value
    points: str  # after a difference


SHARE, PART, GAP, RATING, OPINION, AMOUNT, NATS = (
    Unit(100, 0, " %", " points"),
    Unit(100, 0, " %", " points"),  # of a length: below 0 and above 1, too
    Unit(100, 0, " points", " points"),
    Unit(1, 1, "", ""),
    Unit(1, 1, "", " points"),
    Unit(1, 2, "", ""),
    Unit(1, 3, "", ""),
)
