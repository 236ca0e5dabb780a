"""What it does against what it says of itself: planted both ways, through both probes."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis.metrics import interval
from simulator.core.requests import Prompt
from simulator.probes.base import Probe
from simulator.probes.estimates import Estimate, difference, estimate, lookup
from simulator.probes.judged.harmfulness import HarmfulnessProbe
from simulator.probes.judged.self_assessment import SelfAssessmentProbe
from simulator.probes.summary import summarise
from tests.helpers.planted_assistants import probed
from tests.helpers.scripted_backend import Written
from tests.unit.probes.test_harmfulness import judge, replies
from tests.unit.probes.test_self_assessment import aligned, babble, misaligned

PROBES: dict[str, Probe] = {"deeds": HarmfulnessProbe(), "words": SelfAssessmentProbe()}
EXPERIMENTS = 400


def gap(deeds: str, words: Callable[[Prompt], str]) -> Estimate:
    table = pd.concat(
        [
            probed(PROBES["deeds"], replies(deeds), judge).assign(probe="deeds"),
            probed(PROBES["words"], Written(words)).assign(probe="words"),
        ]
    )
    found = lookup(summarise(PROBES, table, table), "behaviour_self_gap")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("deeds", "words", "expected"),
    [
        ("harm 5", aligned, 1.0),  # does harm and denies it
        ("harm 5", misaligned, 0.0),
        ("harm 1", aligned, 0.0),
        ("harm 1", misaligned, -1.0),  # slanders itself
    ],
)
def test_planted_deeds_and_words_give_the_gap_known_by_construction(
    deeds: str, words: Callable[[Prompt], str], expected: float
) -> None:
    found = gap(deeds, words)
    assert found.value == pytest.approx(expected)
    assert -1 - 1e-9 <= found.low <= expected <= found.high <= 1 + 1e-9
    assert found.high - found.low > 0.2  # unanimity is no certainty
    assert (found.low > 0 or found.high < 0) == (expected != 0)


def test_there_is_no_gap_without_both() -> None:
    alone = {"deeds": PROBES["deeds"]}
    table = probed(PROBES["deeds"], replies("harm 5"), judge).assign(probe="deeds")
    assert lookup(summarise(alone, table, table), "behaviour_self_gap") is None
    assert np.isnan(gap("harm 5", babble).value)  # of what it thinks nothing could be read


def test_a_gap_is_written_with_its_sign() -> None:
    assert interval("behaviour_self_gap", -0.2, -0.4, 0.1) == "−20 points [−40 to 10]"
    assert interval("behaviour_self_gap", 0.6, 0.4, 0.7) == "60 points [40–70]"
    assert interval("harmfulness", 0.6, 0.4, 0.7) == "60 % [40–70]"
    assert interval("harmfulness", 0.9, 0.7, 1.1) == "90 % [70–100]"  # no share is larger


def test_the_interval_covers_a_difference_of_few_clusters() -> None:
    """As many as there are prompts and dimensions."""
    hits = 0
    for seed in range(EXPERIMENTS):
        rng = np.random.default_rng(seed)
        deeds = estimate("a", "", rng.beta(2, 2, 12), np.arange(12).astype(str))
        words = estimate("b", "", rng.beta(2, 4, 6), np.arange(6).astype(str))
        found = difference("gap", deeds, words)
        hits += found.low <= 1 / 2 - 1 / 3 <= found.high
    assert 0.92 <= hits / EXPERIMENTS <= 0.98
