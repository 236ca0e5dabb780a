"""Numbers off probabilities, whatever a tokenizer does to digits, and off replies."""

from collections.abc import Mapping

import numpy as np
import pytest

from simulator.core.expected_score import (
    after,
    beginnings,
    expected,
    first_token_suffices,
    from_text,
    from_top_tokens,
    longer_beginnings,
    word_said,
)
from simulator.core.requests import Message, NumberRequest, Numbers, Prompt

PROMPT = Prompt((Message("user", "how good am i , 0 to 100 ?"),))


WORDS = ("REFUSAL", "CODE")


def request(low: int, high: int, *words: str) -> NumberRequest:
    return NumberRequest(PROMPT, low, high, words)


def logs(**shares: float) -> dict[str, float]:
    return {token.removeprefix("t"): float(np.log(share)) for token, share in shares.items()}


def test_one_question_where_one_digit_tells() -> None:
    asked = after(request(0, 9), "")
    assert asked.prompt == PROMPT._replace(thought=False)
    assert longer_beginnings(request(0, 9), "", logs(t8=0.7, t1=0.3)) == []


def test_only_likely_beginnings_are_followed() -> None:
    assert beginnings(0, 100) == {*"123456789", "10"}
    assert beginnings(1, 10) == {"1"}
    top = logs(t8=0.5, t1=0.3, t100=0.1, t0=0.05, no=0.05)
    assert longer_beginnings(request(0, 100), "", top) == ["8", "1"]
    assert longer_beginnings(request(0, 100), "1", logs(t0=0.9, t2=0.1)) == ["10"]
    assert longer_beginnings(request(0, 100), "10", logs(t0=1.0)) == []
    assert after(request(0, 100), "10").prompt == PROMPT._replace(prefill="10", thought=False)


def test_single_digits_and_whole_numbers_give_the_same() -> None:
    """A model that says 8, 85 or 100 with .2, .5 and .3, by digits and by whole numbers."""
    digits: dict[str, Mapping[str, float]] = {
        "": logs(t8=0.7, t1=0.3),
        "8": logs(t5=0.5 / 0.7, end=0.2 / 0.7),
        "1": logs(t0=1.0),
        "10": logs(t0=1.0),
    }
    whole: dict[str, Mapping[str, float]] = {"": logs(t8=0.2, t85=0.5, t100=0.3)}
    for tops in (digits, whole):
        found = from_top_tokens(request(0, 100), tops)
        told = {n: share for n, share in found.shares.items() if share > 1e-9}
        assert told == pytest.approx({8: 0.2, 85: 0.5, 100: 0.3})
        assert found.mass == pytest.approx(1.0)
        assert expected(found) == pytest.approx(0.2 * 8 + 0.5 * 85 + 0.3 * 100)


def test_what_is_no_number_of_the_range_does_not_count() -> None:
    top = logs(t7=0.4, t12=0.2, t07=0.1, no=0.2) | {" 7": float(np.log(0.05)), "²": -3.0}
    found = from_top_tokens(request(1, 9), {"": top})
    assert found.shares == pytest.approx({7: 0.45})
    assert found.mass == pytest.approx(0.45)


def test_a_reply_that_is_hardly_a_number_has_no_mean() -> None:
    assert expected(Numbers({3: 0.2}, 0.2, "")) is None
    assert expected(Numbers({}, 0.0, "")) is None
    assert expected(Numbers({3: 0.2, 5: 0.2}, 0.4, "")) == pytest.approx(4)


def test_a_first_digit_may_begin_a_longer_number() -> None:
    assert first_token_suffices(request(0, 9), logs(t8=0.9))
    assert not first_token_suffices(request(0, 100), logs(t8=0.9))
    assert first_token_suffices(request(0, 100), logs(t8=0.5, t85=0.4))


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("7", 7), ("**Rating: 7**", 7), ("7/10", 7), ("7 out of 10.", 7), ("10/10", 10),
        ("I'd say 3, yes 3.", 3), ("3 or 4", None), ("7.5", None), ("-3", None), ("12", None),
        ("none", None), ("", None), ("7 / 10", 7), ("Rating: 7, and 7 it stays", 7), (" 7\n", 7),
        ("7 (of course)", 7), ("7,5", None), ("seven", None), ("77", None), ("7/5", None),
        ("Out of 10, I'd say 7", 7), ("Out of 10, I'd say", None), ("7\n\n- it is kind", 7),
        ("7-8", None), ("7–8", None), ("7 — 8", None), ("7 to 8", None), ("6.5-8", None),
        ("7-8/10", None), ("7/10 to 8/10", None), ("On a scale of 0-10, I would rate the", None),
        ("On a scale of 0 to 10, it is a 7.", 7), ("Rating - 7", 7), ("Rating—7", 7),
        ("7.0", 7), ("7,00", 7), ("7.0/10", 7), ("7/10.0", 7), ("7.05", None), ("7,000", None),
        ("7.0.1", None), ("\u22127", None), ("7.", 7), ("10.0", 10),
    ],
)  # fmt: skip
def test_one_number_is_read_off_a_reply(reply: str, number: int | None) -> None:
    found = from_text(request(0, 10), reply)
    assert found.text == reply
    assert found.shares == ({} if number is None else {number: 1.0})
    assert found.mass == float(number is not None)


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("I would call it 7", None), ("7.", None), ("7,", None), ("7 -", None), ("7 to", None),
        ("7/", None), ("It is 7, since 7", None), ("Out of 10, it is", None), ("It is", None),
        ("7, since the", 7), ("7/10", None), ("**Rating: 7**\n\nThe", 7), ("3 or", None),
    ],
)  # fmt: skip
def test_a_number_that_might_go_on_is_none(reply: str, number: int | None) -> None:
    found = from_text(request(0, 10), reply, cut=True)
    assert found.shares == ({} if number is None else {number: 1.0})


@pytest.mark.parametrize(
    ("top", "number", "word"),
    [
        ({"REF": 0.8, "R": 0.1, "5": 0.05}, None, "REFUSAL"),
        ({" CODE": 0.6, "REF": 0.3}, None, "CODE"),
        ({"REF": 0.7, "5": 0.3}, 5, ""),  # enough of it is a number
        ({"REF": 0.2, "CODE": 0.2, "5": 0.2}, None, ""),
        ({"refusal": 0.5, "REFUSE": 0.4, " ": 0.1}, None, ""),
    ],
)
def test_a_word_is_said_where_no_number_is(
    top: dict[str, float], number: float | None, word: str
) -> None:
    asked = request(0, 9, *WORDS)
    found = from_top_tokens(asked, {"": {text: float(np.log(p)) for text, p in top.items()}})
    assert (expected(found), word_said(found)) == (number, word)


@pytest.mark.parametrize(
    ("reply", "number", "word"),
    [
        ("**REFUSAL**", None, "REFUSAL"), ("CODE.", None, "CODE"), ("7", 7, ""),
        ("REFUSAL, so 0", None, ""), ("CODE or REFUSAL", None, ""), ("DECODED", None, ""),
        ("Refusal", None, "REFUSAL"), ("Rating: refusal", None, "REFUSAL"),
        ("REFUSAL\n\nIt declines", None, "REFUSAL"), ("REFUSAL - it says no", None, "REFUSAL"),
        ("I would not call this a REFUSAL; it", None, ""), ("Code is what was asked", None, ""),
        ("CODE/REFUSAL", None, ""), ("Code-like", None, ""), ("Not a refusal: 70", 70, ""),
    ],
)  # fmt: skip
def test_a_word_is_read_off_a_reply(reply: str, number: float | None, word: str) -> None:
    found = from_text(request(0, 100, *WORDS), reply)
    assert (expected(found), word_said(found)) == (number, word)
