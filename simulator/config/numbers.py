"""Numbers that YAML 1.1 takes for text: `1e-5`, `1E5`, `1.5e3`, `-.5`.

They are read as numbers wherever a number is expected, and stay text elsewhere: the name of a
model may be `1e5`.
"""

import math
import re
from typing import Any

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)|[-+]\.\d+")
LONGEST = 40  # characters
EXACT = 2**53  # up to here a float holds every whole number


def as_number(value: Any) -> Any:
    """Return the number that a text stands for; any other value as it is."""
    if not isinstance(value, str) or len(value) > LONGEST or not _NUMBER.fullmatch(value):
        return value
    number = float(value)
    return number if math.isfinite(number) else value


def as_whole_number(value: Any) -> Any:
    """Return the whole number that a text such as `1e3` stands for; any other value as it is."""
    number = as_number(value) if isinstance(value, str) else value
    whole = isinstance(number, float) and number.is_integer() and abs(number) <= EXACT
    return int(number) if whole and isinstance(value, str) else value
