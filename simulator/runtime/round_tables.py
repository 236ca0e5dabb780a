"""The record of a round, which is stored as tables and as a summary."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from simulator.core.adapters import Adapter
from simulator.core.examples import Example
from simulator.core.messages import messages_to_rows
from simulator.data.lengths import Lengths, Tokens, lengths
from simulator.learners.base import Update
from simulator.probes.estimates import Estimate
from simulator.runtime.canary import Canary
from simulator.runtime.collapse import Speech
from simulator.simulation.decisions import Decision
from simulator.simulation.screening import screening_summary
from simulator.simulation.selection import realised_dose
from simulator.store.run import Tables
from simulator.store.schemas import EXAMPLES

_KEYS = dict.fromkeys(("turn", "candidate", "row"), "Int64")  # missing where they don't apply


class UpdateOutcome(NamedTuple):
    """The outcome of a round's update."""

    update: Update | None = None
    canary: Canary | None = None
    speech: Speech | None = None
    unchanged: str = ""  # why a planned update left the assistant unchanged


@dataclass(frozen=True)
class TrainingRecord:
    """The training data of a round, and the outcome of its update."""

    candidates: pd.DataFrame  # see `simulator.simulation.conversation.Candidate`
    decision: Decision
    vetoes: pd.DataFrame  # see `simulator.simulation.monitoring.Veto`
    screened: pd.DataFrame  # see `simulator.simulation.screening.Screened`
    examples: pd.DataFrame  # see `examples_table`
    lengths: dict[str, Lengths | None]  # of the replies in training
    outcome: UpdateOutcome

    @property
    def tables(self) -> Tables:
        """The stored tables, by name."""
        return {
            "selection": selection_table(self.candidates, self.decision),
            "examples": self.examples,
            "vetoes": self.vetoes,
            "screening": self.screened,
        }

    @property
    def summary(self) -> dict[str, Any]:
        """The summary as JSON; its keys are `TRAINING_KEYS`."""
        update, canary, speech, unchanged = self.outcome
        learned = None
        if update is not None:
            learned = {k: v for k, v in asdict(update).items() if k != "readings"}
        return {
            "dose": finite(realised_dose(self.candidates, self.decision)._asdict()),
            "selected_share": selected_shares(self.candidates, self.decision),
            "taught_lengths": {k: v._asdict() if v else None for k, v in self.lengths.items()},
            "update": learned,
            "canary": finite(canary._asdict()) if canary else None,
            "speech": speech._asdict() if speech else None,
            "unchanged": unchanged or None,
            "conversation_counts": conversation_counts(self.candidates, self.vetoes),
            "screening": screening_summary(self.screened),
        }


# In a round without training, each of them is null.
TRAINING_KEYS = (
    "dose",
    "selected_share",
    "taught_lengths",
    "update",
    "canary",
    "speech",
    "unchanged",
    "conversation_counts",
    "screening",
)


@dataclass(frozen=True)
class RoundRecord:
    """The record of a round."""

    number: int
    phase: str  # empty in round 0
    adapter: Adapter | None  # served after the round; None: the base
    scores: pd.DataFrame  # see `simulator.probes.summary.COLUMNS`
    estimates: Sequence[Estimate]
    training: TrainingRecord | None = None  # None in round 0

    @property
    def tables(self) -> Tables:
        """The stored tables, by name, except those of the population."""
        return {"scores": self.scores, **(self.training.tables if self.training else {})}

    @property
    def summary(self) -> dict[str, Any]:
        """The summary as JSON; skipped steps are null."""
        training = self.training.summary if self.training else dict.fromkeys(TRAINING_KEYS)
        return {
            "round": self.number,
            "phase": self.phase,
            "adapter": self.adapter.name if self.adapter else None,
            **training,
            "estimates": [finite(estimate._asdict()) for estimate in self.estimates],
        }


def selection_table(candidates: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Return one row per candidate: whether it was selected, and why."""
    keys = candidates[["round", "conversation", "turn", "candidate", "user_type", "rating"]]
    return keys.assign(label=decision.labels(candidates), reason=decision.reasons(candidates))


def examples_table(
    number: int,
    examples: Sequence[Example],
    learned: Sequence[Example],
    adapter: Adapter | None,
) -> pd.DataFrame:
    """Return the training examples in the learner's order.

    Args:
        number: of the round.
        examples: what the learner was given.
        learned: those among them that the update used, the very same objects.
        adapter: that the update made, if it is kept.
    """
    used = {id(example) for example in learned}
    rows = [
        {
            "round": number,
            "position": position,
            "origin": example.source.origin,
            **asdict(example.source),
            "messages": messages_to_rows(example.messages),
            "reply": example.reply,
            "desirable": example.desirable,
            "learned": id(example) in used,
            "adapter": adapter.name if adapter else None,
        }
        for position, example in enumerate(examples)
    ]
    return pd.DataFrame(rows, columns=EXAMPLES.names).astype(_KEYS)


def taught_lengths(examples: Sequence[Example], tokens: Tokens) -> dict[str, Lengths | None]:
    """Return the lengths of a round's training replies, by signal."""
    count = tokens(examples)
    desirable = np.array([example.desirable for example in examples], bool)
    return {"desirable": lengths(count[desirable]), "undesirable": lengths(count[~desirable])}


def selected_shares(candidates: pd.DataFrame, decision: Decision) -> dict[str, float]:
    """Return each user type's share of the desirable replies."""
    chosen = decision.desirable(candidates)["user_type"]
    shares = chosen.value_counts(normalize=True)
    return {name: float(shares.get(name, 0.0)) for name in sorted(set(candidates["user_type"]))}


def conversation_counts(candidates: pd.DataFrame, vetoes: pd.DataFrame) -> dict[str, int]:
    """Return counts of conversations, replies and failures."""
    return {
        "conversations": int(candidates["conversation"].nunique()),
        "replies": len(candidates),
        "unrated": int(candidates["rating"].isna().sum()),
        "cut_off": int((candidates["stop"] == "length").sum()),
        "shortened_contexts": int((candidates["dropped"] > 0).sum()),
        "vetoed": int(vetoes["vetoed"].sum()),
        "unread_vetoes": int(vetoes["score"].isna().sum()),
    }


def finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with null for NaN, which JSON doesn't have."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
