"""What a round leaves behind, as tables and as a summary."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from simulator.core.adapters import Adapter
from simulator.core.examples import Example
from simulator.core.messages import messages_to_json
from simulator.data.lengths import Tokens, lengths
from simulator.learners.base import Update
from simulator.probes.estimates import Estimate
from simulator.runtime.canary import Canary
from simulator.runtime.collapse import Speech
from simulator.simulation.decisions import Decision
from simulator.simulation.selection import Dose


class Learning(NamedTuple):
    """What became of a round's update."""

    update: Update | None = None
    canary: Canary | None = None
    speech: Speech | None = None
    unchanged: str = ""  # why the assistant stayed as it was, though it was to learn


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


def taught_lengths(examples: Sequence[Example], tokens: Tokens) -> dict[str, Any]:
    """How long the replies are that a round learns from; see `simulator.data.lengths.Lengths`."""
    count = tokens(examples)
    desirable = np.array([example.desirable for example in examples], bool)
    found = {"desirable": lengths(count[desirable]), "undesirable": lengths(count[~desirable])}
    return {kind: some._asdict() if some else None for kind, some in found.items()}


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


def round_summary(
    number: int,
    phase: str,
    estimates: Sequence[Estimate],
    adapter: Adapter | None = None,
    *,
    dose: Dose | None = None,
    shares: dict[str, float] | None = None,
    taught: dict[str, Any] | None = None,
    learning: Learning = Learning(),  # noqa: B008 -- immutable
    counts: dict[str, int] | None = None,
    screening: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The summary of a round as JSON; what wasn't done is null."""
    update, canary, speech, unchanged = learning
    learned = None
    if update is not None:
        learned = {k: v for k, v in asdict(update).items() if k != "readings"}
    return {
        "round": number,
        "phase": phase,
        "adapter": adapter.name if adapter else None,
        "dose": _finite(dose._asdict()) if dose else None,
        "selected_share": shares,
        "taught_lengths": taught,
        "update": learned,
        "canary": _finite(canary._asdict()) if canary else None,
        "speech": speech._asdict() if speech else None,
        "unchanged": unchanged or None,
        "conversation_counts": counts,
        "screening": screening,
        "estimates": [_finite(estimate._asdict()) for estimate in estimates],
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN: what can't be measured is null."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
