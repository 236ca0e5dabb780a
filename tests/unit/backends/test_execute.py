"""Numbers read from an engine digit by digit: the same as by asking after every beginning."""

import pytest

from simulator.backends.execute import read_numbers
from simulator.core import expected_score
from simulator.core.requests import Message, NumberRequest, Prompt
from tests.helpers.scripted_backend import Scripted

SAYS = {
    "": {"8": 0.6, "1": 0.2, "100": 0.1, "no": 0.1},
    "8": {"5": 0.5, "</s>": 0.5},
    "1": {"0": 0.9, "</s>": 0.1},
    "10": {"0": 0.25, "</s>": 0.75},
}
UNLIKELY = {"</s>": 1.0}  # after a beginning that the model doesn't say


def engine() -> Scripted:
    found = Scripted(lambda prompt: SAYS.get(prompt.prefill, UNLIKELY))
    found.capabilities |= {"prefill"}
    return found


def asked(low: int, high: int) -> NumberRequest:
    return NumberRequest(Prompt((Message("user", "how good is it ?"),)), low, high)


def test_beginnings_without_probability_are_not_asked_about() -> None:
    backend, request = engine(), asked(0, 100)
    found = read_numbers(backend, [request, asked(0, 9)])
    assert backend.batches == [2, 2, 1]  # the first tokens; after 8 and 1; after 10
    every = {
        start: backend.top_tokens([expected_score.after(request, start)])[0]
        for start in ("", *expected_score.beginnings(0, 100))
    }
    assert len(every) == 11
    expected = expected_score.from_top_tokens(request, every)
    assert found[0] == expected
    assert found[0].shares == pytest.approx(
        {85: 0.3, 8: 0.3, 10: 0.2 * 0.9 * 0.75, 1: 0.02, 100: 0.1 + 0.2 * 0.9 * 0.25}
    )
    assert found[1].shares == pytest.approx({8: 0.6, 1: 0.2})


def test_an_engine_that_cannot_go_on_is_asked_once() -> None:
    backend = Scripted(lambda prompt: {"85": 0.5, "100": 0.25, "8": 0.25})
    (found,) = read_numbers(backend, [asked(0, 100)])
    assert backend.batches == [1]
    assert found.shares == pytest.approx({85: 0.5, 100: 0.25, 8: 0.25})
