"""Numbers read off a reply, and off probabilities."""

import math

import pytest

from simulator.numbers import as_top_tokens, expected, from_text, from_top_tokens
from simulator.types import Message, NumberRequest, Prompt

PROMPT = Prompt((Message("user", "how much?"),))
TEN, HUNDRED = NumberRequest(PROMPT, 1, 10), NumberRequest(PROMPT, 0, 100)


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("7", 7), ("**Rating: 7**", 7), ("7/10", 7), ("10/10", 10), ("7 / 10", 7),
        ("7 out of 10", 7), ("I'd say 7.", 7), ("Rating: 7, and 7 it stays", 7), (" 7\n", 7),
        ("7 (of course)", 7),
        ("7 or 8", None), ("between 6 and 9", None), ("7.5", None), ("7,5", None), ("-7", None),
        ("11", None), ("0", None), ("seven", None), ("", None), ("77", None), ("7/5", None),
    ],
)  # fmt: skip
def test_one_number_or_none(reply: str, number: int | None) -> None:
    found = from_text(TEN, reply)
    assert dict(found.shares) == ({} if number is None else {number: 1.0})
    assert expected(found) == number
    assert found.text == reply


def logs(**shares: float) -> dict[str, float]:
    return {token.replace("_", " "): math.log(share) for token, share in shares.items()}


def test_digits_after_digits() -> None:
    """8 (then an end), 85 and 100, however the tokenizer splits them."""
    tops = {
        "": {"8": math.log(0.6), " 10": math.log(0.2), "no": math.log(0.2)},
        "8": {"5": math.log(0.5), "<end>": math.log(0.5)},
        "10": {"0": math.log(1.0)},
    }
    found = from_top_tokens(HUNDRED, tops)
    assert dict(found.shares) == pytest.approx({8: 0.3, 85: 0.3, 10: 0.0, 100: 0.2})
    assert found.mass == pytest.approx(0.8)
    assert expected(found) == pytest.approx((8 * 0.3 + 85 * 0.3 + 100 * 0.2) / 0.8)


def test_what_is_no_number_of_the_scale_has_no_share() -> None:
    tokens = {"7": 0.2, "12": 0.2, "007": 0.2, "٣": 0.2, "x7": 0.2}
    found = from_top_tokens(TEN, {"": {t: math.log(p) for t, p in tokens.items()}})
    assert dict(found.shares) == pytest.approx({7: 0.2})
    assert expected(found) is None  # less than a quarter of the reply


def test_every_beginning_of_a_number_is_asked_about_where_that_is_possible() -> None:
    assert [r.prompt.begun for r in as_top_tokens(TEN, whole=True)] == ["", "1"]
    assert [r.prompt.begun for r in as_top_tokens(TEN, whole=False)] == [""]
    begun = [r.prompt.begun for r in as_top_tokens(HUNDRED, whole=True)]
    assert begun == ["", *map(str, range(1, 11))]
