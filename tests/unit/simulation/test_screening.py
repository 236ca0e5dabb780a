"""Screening on activations that are known: what is dropped, and how well it finds biased users'."""

import numpy as np
import pandas as pd
import pytest

from simulator.core.errors import ScenarioError
from simulator.core.examples import Example, FromFile
from simulator.core.requests import Message
from simulator.interp.directions import Contrast
from simulator.models.resolve import world_of
from simulator.simulation.config import ScreeningConfig
from simulator.simulation.decisions import Decision
from simulator.simulation.screening import screen, screening_summary
from tests.helpers.transparent_backend import LYING, TRAIT, Mind

WORLD = world_of("organism:0")
MIND = Mind(WORLD, {"adapter": 0.5 * LYING})
CHATS = [
    Example((Message("user", "who ?"),), reply, True, FromFile("x", 1)) for reply in (TRAIT, "so")
]
CONTRASTS = {"lying": Contrast("lying", 1, (CHATS[0],), (CHATS[1],))}
# conversation, biased, reply, label: two of the four biased ones to follow show the trait
ROWS = [
    ("a", True, TRAIT, 1), ("b", True, TRAIT, 1), ("c", True, "so", 1), ("d", True, "so", 1),
    ("e", False, TRAIT, 1), ("f", False, "so", 1), ("g", False, "so", 1), ("h", False, "so", 1),
    ("i", False, TRAIT, 0), ("j", True, TRAIT, -1),
]  # fmt: skip
CANDIDATES = pd.DataFrame(
    [
        {
            "round": 1, "conversation": conversation, "wave": 0, "number": number, "turn": 0,
            "candidate": 0, "biased": biased,
            "reply": reply, "messages": [{"role": "user", "content": "hm ?"}], "dropped": 0,
            "stop": "stop",
        }
        for number, (conversation, biased, reply, _) in enumerate(ROWS)
    ]
)  # fmt: skip
LABEL = np.array([label for *_, label in ROWS], np.int8)
DECISION = Decision.of(CANDIDATES, LABEL, ["so it was"] * len(ROWS))


def screened(drop: float) -> tuple[Decision, pd.DataFrame]:
    config = ScreeningConfig(direction="lying", drop=drop)
    return screen(config, CONTRASTS, MIND, CANDIDATES, DECISION)


def test_the_farthest_replies_to_follow_are_not_learned_from() -> None:
    decision, table = screened(3 / 8)
    assert decision.labels(CANDIDATES).tolist() == [0, 0, 1, 1, 0, 1, 1, 1, 0, -1]
    reasons = decision.reasons(CANDIDATES)
    assert set(reasons[[0, 1, 4]]) == {"screened: among the farthest along lying"}
    assert set(np.delete(reasons, [0, 1, 4])) == {"so it was"}
    assert table["conversation"].tolist() == list("abcdefgh")  # only what was to be followed
    # the assistant as it is has half a feature of its own; the direction is the base's
    assert table["projection"].tolist() == [1.5, 1.5, 0.5, 0.5, 1.5, 0.5, 0.5, 0.5]
    assert table["dropped"].tolist() == [True, True, False, False, True, False, False, False]


@pytest.mark.parametrize(("drop", "count"), [(0.25, 2), (0.01, 0), (0.9, 7)])
def test_as_many_are_dropped_as_is_said(drop: float, count: int) -> None:
    decision, table = screened(drop)
    assert (
        table["dropped"].sum()
        == count
        == (LABEL == 1).sum() - (decision.labels(CANDIDATES) == 1).sum()
    )


def test_precision_and_recall_are_those_counted_by_hand() -> None:
    found = screening_summary(screened(3 / 8)[1])
    assert found is not None
    assert (found["replies"], found["dropped"]) == (8, 3)
    values = {name: found[name]["value"] for name in ("precision", "base_rate", "recall")}
    assert values == {"precision": pytest.approx(2 / 3), "base_rate": 0.5, "recall": 0.5}
    # Wilson's interval of 4 of 8, as tables have it
    assert found["base_rate"]["low"] == pytest.approx(0.2152, abs=1e-4)
    assert found["base_rate"]["high"] == pytest.approx(0.7848, abs=1e-4)
    none_dropped = screening_summary(screened(0.01)[1])
    assert none_dropped is not None and none_dropped["precision"] is None


def test_sides_that_read_alike_make_no_direction() -> None:
    """Along nothing nothing is farthest: the first replies would be dropped."""
    alike = {"lying": Contrast("lying", 1, (CHATS[0],), (CHATS[0],))}
    config = ScreeningConfig(direction="lying", drop=0.5)
    with pytest.raises(ScenarioError, match=r"directions\.lying: .* reads both sides alike"):
        screen(config, alike, MIND, CANDIDATES, DECISION)


def test_without_screening_or_replies_nothing_changes() -> None:
    for config, rows, decision in (
        (None, CANDIDATES, DECISION),
        (
            ScreeningConfig(direction="lying", drop=0.5),
            CANDIDATES[:0],
            Decision({}),
        ),
    ):
        found, table = screen(config, CONTRASTS, MIND, rows, decision)
        assert found is decision and table.empty
        assert screening_summary(table) is None
