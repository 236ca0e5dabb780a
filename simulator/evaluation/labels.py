"""People's labels of replies: reading them, and which of them mean yes."""

import contextlib
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.core.errors import LONGEST_CHOICE, ScenarioError
from simulator.data.columns import is_empty, refuse_weights
from simulator.data.rows import Refused, Row, read_file, used

FIELDS = ("prompt", "reply", "label")
AFFIRMATIVE = ("yes", "true")
ALSO_YES = ("y", "1", "1.0")  # beside an affirmative word
ABSENT = ("n/a", "#n/a", "na", "<na>", "null")  # as tables write missing values


class Labelled(NamedTuple):
    """A reply with a person's label."""

    prompt: str
    reply: str
    label: str


class Labels(NamedTuple):
    """Which labels mean yes, and what they were taken for."""

    yes: np.ndarray  # (labels,), bool
    taken: str  # a sentence for the person


def read_labelled(file: Path) -> tuple[list[Labelled], list[Refused]]:
    """Return the labelled replies of a file, and the rows that can't be used.

    Raises:
        ScenarioError: the file as a whole can't be read, or has no rows.
    """
    found = list(used(read_file(file), _labelled))
    if not found:
        raise ScenarioError(f"{file}: no rows; each must have {', '.join(FIELDS)}")
    rows = [one[1] for one in found if not isinstance(one, Refused)]
    return rows, [one for one in found if isinstance(one, Refused)]


def usable(file: Path, *, skip_bad_rows: bool) -> tuple[list[Labelled], str]:
    """Return the labelled replies of a file, and a sentence on rows that are left out.

    Raises:
        ScenarioError: lists the rows that can't be used, unless those are left out.
    """
    rows, refused = read_labelled(file)
    mistakes = ScenarioError(*map(str, refused))
    if refused and not (skip_bad_rows and rows):
        raise mistakes
    total = len(rows) + len(refused)
    return rows, f"left out {len(refused)} of {total} rows: {mistakes}" if refused else ""


def _labelled(row: Row) -> Labelled:
    lacking = [name for name in FIELDS if is_empty(row.values.get(name))]
    if lacking:
        raise ScenarioError(f"{row.origin}: missing or empty {lacking[0]}")
    refuse_weights(row)
    asked, reply, label = (_text(row, name) for name in FIELDS)
    if not label.strip() or label.strip().lower() in ABSENT:
        raise row.mistake("label", f"is missing ({label!r}); leave such rows out")
    number = _number(label)
    if number is not None and not math.isfinite(number):
        raise row.mistake("label", f"must be a word or a finite number, not {label.strip()}")
    return Labelled(asked, reply, label)


def _text(row: Row, column: str) -> str:
    found: Any = row.values[column]
    if not isinstance(found, str | int | float):
        raise row.mistake(column, f"must be text, not {type(found).__name__}")
    return str(found)


def _number(label: str) -> float | None:
    with contextlib.suppress(ValueError):
        return None if "_" in label else float(label)  # Python reads 1_0 as ten
    return None


def labels_of(labels: list[str], threshold: float, positive: str | None, file: Path) -> Labels:
    """Return which labels mean yes: the positive word, or else numbers from the threshold up.

    Args:
        labels: words or numbers.
        threshold: the smallest number that means yes.
        positive: the label that means yes; None: affirmative words do.
        file: named in mistakes.

    Raises:
        ScenarioError: it is unclear which word means yes.
    """
    numbers = [_number(label) for label in labels]
    if positive is None and all(number is not None for number in numbers):
        yes = np.array(numbers, float) >= threshold
        return Labels(yes, f"Labels of {threshold:g} or more were taken as yes.")
    words = [label.strip().lower() for label in labels]
    known = sorted(set(words))
    given = [positive.strip().lower()] if positive else []
    said = given or [word for word in AFFIRMATIVE if word in known]
    meant = said if given else [*AFFIRMATIVE, *ALSO_YES]
    if not set(said) & set(known):
        shown = ", ".join(known[:8])
        raise ScenarioError(
            f"{file}: missing --positive, the label that means yes; available: {shown}"
        )
    counts = Counter(words).most_common()
    taken = _listed([(word, n) for word, n in counts if word in meant])
    others = _listed([(word, n) for word, n in counts if word not in meant])
    yes = np.array([word in meant for word in words])
    return Labels(yes, f"Labels taken as yes: {taken}; as no: {others}.")


def _listed(counts: Sequence[tuple[str, int]]) -> str:
    more = len(counts) - LONGEST_CHOICE
    shown = [f"{word} ({n})" for word, n in counts[:LONGEST_CHOICE]]
    return ", ".join([*shown, *([f"and {more} other words"] if more > 0 else [])]) or "none"
