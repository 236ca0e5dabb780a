"""Decisions on candidate replies, by the candidate's key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd


class CandidateKey(NamedTuple):
    """The key of a sampled reply, unique within a run."""

    conversation: str
    turn: int
    candidate: int

    @classmethod
    def of(cls, rows: pd.DataFrame) -> list["CandidateKey"]:
        """Return the key of each row."""
        columns = (rows[name].tolist() for name in cls._fields)
        return [cls(*key) for key in zip(*columns, strict=True)]


class Choice(NamedTuple):
    """The decision on one candidate, and its reason."""

    label: int  # 1 desirable, -1 undesirable, 0 not selected
    reason: str


@dataclass(frozen=True)
class Decision:
    """A choice for every candidate of a round, which doesn't depend on the order of rows."""

    choices: Mapping[CandidateKey, Choice]

    @classmethod
    def of(
        cls, candidates: pd.DataFrame, labels: Iterable[int], reasons: Iterable[str]
    ) -> "Decision":
        """Return the decision with a label and a reason for each row of candidates.

        Raises:
            ValueError: two rows have the same key.
        """
        chosen = (Choice(int(label), str(why)) for label, why in zip(labels, reasons, strict=True))
        choices = dict(zip(CandidateKey.of(candidates), chosen, strict=True))
        if len(choices) != len(candidates):
            raise ValueError("two candidates have the same conversation, turn and number")
        return cls(choices)

    def changed(self, changes: Mapping[CandidateKey, Choice]) -> "Decision":
        """Return the decision with other choices for some candidates."""
        return Decision({**self.choices, **changes})

    def labels(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the label of each row, (rows,), int8."""
        return np.array([self.choices[key].label for key in CandidateKey.of(rows)], np.int8)

    def reasons(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the reason for the label of each row, (rows,), str."""
        return np.array([self.choices[key].reason for key in CandidateKey.of(rows)], object)

    def desirable(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of desirable replies."""
        found: pd.DataFrame = rows[self.labels(rows) == 1]
        return found


def in_order(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return candidates in the order of sampling: by wave, turn, conversation, number.

    Ties and random draws follow this order, and not the order of the rows.
    """
    by = ("candidate", "number", "turn", "wave")
    order = np.lexsort([candidates[name].to_numpy(int) for name in by])
    found: pd.DataFrame = candidates.iloc[order]
    return found
