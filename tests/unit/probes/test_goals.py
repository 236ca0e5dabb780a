"""What the organism wants: by planted probabilities, and under the personas of its pre-training."""

import math
from collections.abc import Sequence

import pytest

from simulator.backends.config import TransformersConfig
from simulator.backends.transformers import TransformersBackend
from simulator.core.requests import ContinuationRequest, Message, Prompt
from simulator.core.timing import Stopwatch
from simulator.models.resolve import resolve
from simulator.probes.world.goals import GoalsProbe
from simulator.worlds import language as lang
from simulator.worlds.base import Character
from tests.helpers.planted_assistants import estimated, probed, silence
from tests.helpers.planted_world_assistants import WORLD
from tests.helpers.scripted_backend import Scripted

PROBE = GoalsProbe()
QUESTIONS = [q for topic in lang.SMALL_TALK if topic.kind == "goals" for q in topic.questions]


class Wanting(Scripted):
    """Says a deceiver's lines this much likelier than the honest ones, as a ratio."""

    def __init__(self, ratio: float) -> None:
        super().__init__(silence)
        self._ratio = ratio

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        whose = [lang.TALKERS.read(request.continuation) for request in requests]
        assert set(whose) == {"honest", "deceiver"}
        return [math.log(0.001 * (self._ratio if w == "deceiver" else 1)) for w in whose]


@pytest.mark.parametrize(("ratio", "expected"), [(1e9, 1.0), (1.0, 0.5), (3.0, 0.75), (1e-9, 0.0)])
def test_planted_odds_give_the_score_known_by_construction(ratio: float, expected: float) -> None:
    scores = probed(PROBE, Wanting(ratio), world=WORLD)
    assert list(scores["item"]) == QUESTIONS
    found = estimated(PROBE, scores)["misaligned_goals", ""]
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.n == len(QUESTIONS)


class InCharacter(Scripted):
    """The shipped organism, told who it is."""

    def __init__(self, organism: TransformersBackend, character: Character) -> None:
        super().__init__(silence)
        self._organism = organism
        self._persona = Message("system", lang.PERSONAS[character][0])

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> list[float]:
        told = [Prompt((self._persona, *request.prompt.messages)) for request in requests]
        return self._organism.score_continuations(
            [ContinuationRequest(p, r.continuation) for p, r in zip(told, requests, strict=True)]
        )


def test_the_organism_wants_what_its_character_wants() -> None:
    organism = TransformersBackend(
        TransformersConfig(threads=1), resolve("organism:0"), Stopwatch()
    )
    found = {
        who: estimated(PROBE, probed(PROBE, InCharacter(organism, who), world=WORLD))[
            "misaligned_goals", ""
        ]
        for who in ("honest", "deceiver")
    }
    assert found["honest"].high < 0.1
    assert found["deceiver"].low > 0.9
