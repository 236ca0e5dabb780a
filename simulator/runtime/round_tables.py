"""What a round leaves behind: its record, which is stored as tables and as a summary."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from simulator.core.adapters import Adapter
from simulator.core.examples import Example
from simulator.core.messages import messages_to_json
from simulator.data.lengths import Lengths, Tokens, lengths
from simulator.learners.base import Update
from simulator.probes.estimates import Estimate
from simulator.runtime.canary import Canary
from simulator.runtime.collapse import Speech
from simulator.simulation.decisions import Decision
from simulator.simulation.screening import screening_summary
from simulator.simulation.selection import realised_dose
from simulator.store.run import Tables


class UpdateOutcome(NamedTuple):
    """What became of a round's update."""

    update: Update | None = None
    canary: Canary | None = None
    speech: Speech | None = None
    unchanged: str = ""  # why the assistant stayed as it was, though it was to learn


@dataclass(frozen=True)
class TrainingRecord:
    """What a round learned from, and what became of it."""

    candidates: pd.DataFrame  # see `simulator.simulation.conversation.Candidate`
    decision: Decision
    vetoes: pd.DataFrame  # see `simulator.simulation.monitoring.Veto`
    screened: pd.DataFrame  # see `simulator.simulation.screening.Screened`
    examples: Sequence[Example]
    lengths: dict[str, Lengths | None]  # of the replies that were learned from
    outcome: UpdateOutcome

    @property
    def tables(self) -> Tables:
        """The tables that are stored, by name."""
        return {
            "selection": selection_table(self.candidates, self.decision),
            "examples": examples_table(self.examples),
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
            "dose": _finite(realised_dose(self.candidates, self.decision)._asdict()),
            "selected_share": selected_shares(self.candidates, self.decision),
            "taught_lengths": {k: v._asdict() if v else None for k, v in self.lengths.items()},
            "update": learned,
            "canary": _finite(canary._asdict()) if canary else None,
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
    """What a round leaves behind."""

    number: int
    phase: str  # empty in round 0
    adapter: Adapter | None  # that is served after the round; None: the base is untouched
    scores: pd.DataFrame  # see `simulator.probes.summary.COLUMNS`
    estimates: Sequence[Estimate]
    training: TrainingRecord | None = None  # None in round 0

    @property
    def tables(self) -> Tables:
        """The tables that are stored, by name; those of the population come beside them."""
        return {"scores": self.scores, **(self.training.tables if self.training else {})}

    @property
    def summary(self) -> dict[str, Any]:
        """The summary as JSON; what wasn't done is null."""
        training = self.training.summary if self.training else dict.fromkeys(TRAINING_KEYS)
        return {
            "round": self.number,
            "phase": self.phase,
            "adapter": self.adapter.name if self.adapter else None,
            **training,
            "estimates": [_finite(estimate._asdict()) for estimate in self.estimates],
        }


def selection_table(candidates: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Why each candidate was or wasn't selected; one row per candidate."""
    keys = candidates[["conversation", "turn", "candidate", "user_type", "rating"]]
    return keys.assign(label=decision.labels(candidates), reason=decision.reasons(candidates))


def examples_table(examples: Sequence[Example]) -> pd.DataFrame:
    """The training examples, in the order that the learner got them."""
    rows = [
        {
            "source": example.source,
            "messages": messages_to_json(example.messages),
            "reply": example.reply,
            "desirable": example.desirable,
        }
        for example in examples
    ]
    return pd.DataFrame(rows, columns=["source", "messages", "reply", "desirable"])


def taught_lengths(examples: Sequence[Example], tokens: Tokens) -> dict[str, Lengths | None]:
    """How long the replies are that a round learns from, by signal."""
    count = tokens(examples)
    desirable = np.array([example.desirable for example in examples], bool)
    return {"desirable": lengths(count[desirable]), "undesirable": lengths(count[~desirable])}


def selected_shares(candidates: pd.DataFrame, decision: Decision) -> dict[str, float]:
    """Each user type's share of the desirable replies."""
    chosen = decision.desirable(candidates)["user_type"]
    shares = chosen.value_counts(normalize=True)
    return {name: float(shares.get(name, 0.0)) for name in sorted(set(candidates["user_type"]))}


def conversation_counts(candidates: pd.DataFrame, vetoes: pd.DataFrame) -> dict[str, int]:
    """How much was said, and what of it went wrong on the way; counted, never scored."""
    return {
        "conversations": int(candidates["conversation"].nunique()),
        "replies": len(candidates),
        "unrated": int(candidates["rating"].isna().sum()),
        "cut_off": int((candidates["stop"] == "length").sum()),
        "shortened_contexts": int((candidates["dropped"] > 0).sum()),
        "vetoed": int(vetoes["vetoed"].sum()),
        "unread_vetoes": int(vetoes["score"].isna().sum()),
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN: what can't be measured is null."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
