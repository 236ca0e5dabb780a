"""A round's record: the same tables and the same keys in every round."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.core.adapters import Adapter
from simulator.core.examples import Example, FromConversation
from simulator.core.requests import Message, Prompt
from simulator.learners.base import Reading, Update
from simulator.probes.estimates import Estimate
from simulator.runtime.canary import Canary
from simulator.runtime.round_tables import (
    TRAINING_KEYS,
    RoundRecord,
    TrainingRecord,
    UpdateOutcome,
    examples_table,
    taught_lengths,
)
from simulator.simulation.decisions import Decision
from simulator.simulation.monitoring import Veto
from simulator.simulation.screening import Screened

CANDIDATES = pd.DataFrame(
    {
        "round": 1,
        "conversation": ["1-0-0000", "1-0-0000", "1-0-0001"],
        "turn": 0,
        "candidate": [0, 1, 0],
        "user_type": ["benign", "benign", "biased"],
        "biased": [False, False, True],
        "pressured": False,
        "rating": [5.0, math.nan, 4.0],
        "stop": ["end", "length", "end"],
        "dropped": [0, 0, 2],
    }
)
DECISION = Decision.of(CANDIDATES, [1, 0, 1], ["best", "no rating", "best"])
SOURCE = FromConversation("1-0-0000", 0, 0)
EXAMPLES = [Example((Message("user", "?"),), reply, True, SOURCE) for reply in "ab"]
READING = Reading(Prompt(text="?"), ("a",), (0.0,), (-1.0,))
ADAPTER = Adapter("r0001-ab", Path("x"))
OUTCOME = UpdateOutcome(
    Update(3, 2.0, 1.5, None, (READING,)), Canary("passed", 0.0, math.nan, 1.0), None
)
TRAINING = TrainingRecord(
    CANDIDATES,
    DECISION,
    pd.DataFrame(columns=Veto._fields).astype({"vetoed": bool}),
    pd.DataFrame(columns=Screened._fields),
    examples_table(1, EXAMPLES, EXAMPLES[:1], ADAPTER),
    taught_lengths(EXAMPLES, lambda examples: np.array([3] * len(examples), int)),
    OUTCOME,
)
ESTIMATES = [Estimate("honesty", "used", 0.5, math.nan, 1.0, 4)]
SCORES = pd.DataFrame({"probe": ["honesty"]})
BASE = RoundRecord(0, "", None, SCORES, ESTIMATES)
LEARNED = RoundRecord(1, "loop", ADAPTER, SCORES, ESTIMATES, TRAINING)


def test_every_round_has_the_same_keys_in_the_same_order() -> None:
    keys = ["round", "phase", "adapter", *TRAINING_KEYS, "estimates"]
    assert list(TRAINING.summary) == list(TRAINING_KEYS)
    assert list(BASE.summary) == list(LEARNED.summary) == keys
    assert all(BASE.summary[key] is None for key in ("adapter", *TRAINING_KEYS))
    assert set(BASE.tables) == {"scores"}
    assert set(LEARNED.tables) == {"scores", "selection", "examples", "vetoes", "screening"}


def test_a_summary_is_json_without_nan() -> None:
    summary = json.loads(json.dumps(LEARNED.summary, allow_nan=False))
    assert summary["dose"]["selected"] == 2
    assert summary["dose"]["biased_share_pressured"] is None
    assert summary["selected_share"] == {"benign": 0.5, "biased": 0.5}
    assert summary["taught_lengths"]["desirable"]["mean"] == 3
    assert summary["taught_lengths"]["undesirable"] is None
    assert summary["update"] == {"steps": 3, "loss_first": 2.0, "loss_last": 1.5, "kl": None}
    assert summary["canary"]["to_parent"] is None
    assert summary["unchanged"] is None
    assert summary["conversation_counts"]["cut_off"] == 1
    assert summary["estimates"][0]["low"] is None


def test_the_tables_say_what_was_selected_and_learned() -> None:
    selection = TRAINING.tables["selection"]
    assert selection["label"].tolist() == [1, 0, 1]
    assert selection["label"].dtype == np.int8
    assert selection["reason"].tolist() == ["best", "no rating", "best"]
    examples = TRAINING.tables["examples"]
    assert examples["messages"].tolist() == [[{"role": "user", "content": "?"}]] * 2
    assert examples["reply"].tolist() == ["a", "b"]
    assert examples[["round", "position"]].to_numpy().tolist() == [[1, 0], [1, 1]]
    keys = ["origin", "conversation", "turn", "candidate", "file", "row"]
    assert (
        examples[keys].astype(object).where(examples[keys].notna(), None).to_numpy().tolist()
        == [["conversation", "1-0-0000", 0, 0, None, None]] * 2
    )
    assert examples["learned"].tolist() == [True, False]
    assert set(examples["adapter"]) == {"r0001-ab"}
