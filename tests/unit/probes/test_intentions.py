"""The whole intentions probe on assistants whose choices are planted."""

from collections.abc import Callable

import numpy as np
import pytest

from simulator.core.requests import Prompt
from simulator.core.rng import stream
from simulator.probes.judged.dimensions import DIMENSIONS
from simulator.probes.judged.intentions import DILEMMAS, IntentionsProbe
from tests.helpers.planted_assistants import Says, estimated, probed
from tests.helpers.scripted_backend import Scripted, Written

PROBE = IntentionsProbe()
MISALIGNED = {dilemma.misaligned for dilemma in DILEMMAS}
ENGINES = pytest.mark.parametrize("engine", [Scripted, Written])


def misaligned(prompt: Prompt) -> str:
    """Returns the number of the misaligned option."""
    lines = prompt.messages[0].content.splitlines()
    return next(line[0] for line in lines if line[3:] in MISALIGNED)


def aligned(prompt: Prompt) -> str:
    return {"1": "2", "2": "1"}[misaligned(prompt)]


def first(prompt: Prompt) -> str:
    return "1"


def babble(prompt: Prompt) -> str:
    return "blub"


def certain(says: Callable[[Prompt], str], engine: type[Scripted]) -> Scripted:
    """Returns an assistant that says one thing, in words or with nearly all of its probability."""
    if engine is Written:
        return engine(lambda prompt: f"**Option {says(prompt)}.**")
    return engine(lambda prompt: {says(prompt): 0.9, "I": 0.1})


@ENGINES
@pytest.mark.parametrize(
    ("says", "expected", "unparsed"),
    [(misaligned, 1, 0), (aligned, 0, 0), (first, 0.5, 0), (babble, np.nan, 1)],
    ids=["misaligned", "aligned", "first", "babbler"],
)
def test_planted_behaviour_gives_the_score_known_by_construction(
    says: Callable[[Prompt], str], expected: float, unparsed: float, engine: type[Scripted]
) -> None:
    found = estimated(PROBE, probed(PROBE, certain(says, engine)))
    for dimension in ("", *DIMENSIONS):
        value = found["misaligned_intentions", dimension].value
        assert value == pytest.approx(expected, nan_ok=True)
    assert found["intentions_unparsed", ""].value == unparsed
    assert found["intentions_unparsed", ""].n == 2 * len(DILEMMAS)


def test_probabilities_are_the_value() -> None:
    def says(prompt: Prompt) -> dict[str, float]:
        return {misaligned(prompt): 0.3, aligned(prompt): 0.5, "Well": 0.2}

    scores = probed(PROBE, says)
    assert scores["value"].to_numpy(float) == pytest.approx(3 / 8)
    assert set(scores["label"]) == {"aligned"}


def test_an_inclination_to_a_place_cancels() -> None:
    def leaning(to_first: float) -> Says:
        """An assistant that wants the misaligned option with .4, moved by where it stands."""

        def says(prompt: Prompt) -> dict[str, float]:
            share = 0.4 + (to_first if misaligned(prompt) == "1" else -to_first)
            return {misaligned(prompt): share, aligned(prompt): 1 - share}

        return says

    for to_first in (0.0, 0.1, -0.3):
        found = estimated(PROBE, probed(PROBE, leaning(to_first)))
        assert found["misaligned_intentions", ""].value == pytest.approx(0.4)


def test_every_dilemma_is_asked_in_both_orders() -> None:
    scores = probed(PROBE, lambda prompt: {"1": 1.0})
    assert len(scores) == 2 * len(DILEMMAS) == 4 * len(DIMENSIONS)
    labels = scores.groupby("item")["label"].agg(set)
    assert all(found == {"aligned", "misaligned"} for found in labels)
    assert scores.groupby("item_set")["item"].nunique().to_dict() == dict.fromkeys(DIMENSIONS, 2)


@ENGINES
def test_what_was_read_in_one_order_alone_is_left_out(engine: type[Scripted]) -> None:
    def says(prompt: Prompt) -> str:
        """Wants the first option, and says so readably of half the dilemmas where it's aligned."""
        long = len(prompt.messages[0].content) % 2
        return "1" if aligned(prompt) == "1" or long else "hm"

    scores = probed(PROBE, certain(says, engine))
    unread = scores["label"] == "unparsed"
    assert 0 < unread.sum() < len(DILEMMAS)
    found = estimated(PROBE, scores)
    assert found["misaligned_intentions", ""].value == 0.5
    assert found["misaligned_intentions", ""].n == 2 * (len(DILEMMAS) - unread.sum())
    assert found["intentions_unparsed", ""].value == pytest.approx(unread.mean())


@pytest.mark.parametrize(
    ("reply", "read"),
    [("2", True), ("Option 2.", True), ("**Answer: 2**", True), ("12", False),
     ("1 or 2", False), ("Neither.", False), ("", False)],
)  # fmt: skip
def test_replies_are_read_leniently_and_never_guessed(reply: str, read: bool) -> None:
    scores = probed(PROBE, Written(lambda prompt: reply))
    assert (scores["label"] != "unparsed").all() if read else scores["value"].isna().all()
    assert set(scores["reply"]) == {reply}


def test_two_samples_of_one_model_are_not_told_apart() -> None:
    def sample(n: int) -> tuple[float, float]:
        rng = stream("an assistant that is misaligned now and then", n)

        def says(prompt: Prompt) -> str:
            return misaligned(prompt) if rng.random() < 0.4 else aligned(prompt)

        found = estimated(PROBE, probed(PROBE, Written(says)))["misaligned_intentions", ""]
        return found.low, found.high

    ends = [sample(n) for n in range(100)]
    assert np.mean([low <= 0.4 <= high for low, high in ends]) >= 0.85  # of 95 %, 12 dilemmas
    apart = [max(a[0], b[0]) > min(a[1], b[1]) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    assert sum(apart) <= 1  # whose intervals don't overlap, as reports say that something changed
