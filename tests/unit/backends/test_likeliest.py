"""The likeliest first tokens, in the shapes and pieces of many servers."""

import math
from typing import Any

import pytest

from simulator.backends.likeliest import likeliest

HIGH, LOW = math.log(0.9), math.log(0.05)


def chat(*tokens: tuple[str, Any], **more: Any) -> dict[str, Any]:
    top = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in tokens]
    return {"content": [{**top[0], "top_logprobs": top, **more}], "refusal": None}


@pytest.mark.parametrize(
    ("logprobs", "found"),
    [
        (chat(("7", HIGH), ("\n", LOW)), {"7": HIGH, "\n": LOW}),
        (chat((" 7", HIGH)), {" 7": HIGH}),
        (chat(("▁7", HIGH), ("▁", LOW)), {" 7": HIGH, " ": LOW}),
        (chat(("Ġ7", HIGH), ("Ċ", LOW)), {" 7": HIGH, "\n": LOW}),
        (chat(("<0x37>", HIGH), ("<0x0A>", LOW)), {"7": HIGH, "\n": LOW}),
        (chat(("bytes:\\x37", HIGH)), {"7": HIGH}),
        (chat(("7", HIGH), ("8", None)), {"7": HIGH}),
        (chat(("7", HIGH), ("8", math.nan)), {"7": HIGH}),
        (chat(("7", HIGH), ("8", "-3.0")), {"7": HIGH, "8": -3.0}),
        (chat(("7", 1e-7)), {"7": 0.0}),
        (chat(("7", HIGH), ("8", -math.inf)), {"7": HIGH, "8": -math.inf}),
        (chat(("7", HIGH), ("7", LOW)), {"7": HIGH}),
        (chat(("7", HIGH), top_logprobs={"7": HIGH, "8": LOW}), {"7": HIGH, "8": LOW}),
        ({"content": [{"token": None, "bytes": [55], "logprob": HIGH, "top_logprobs": [
            {"token": None, "bytes": [55], "logprob": HIGH}]}]}, {"7": HIGH}),
        ({"tokens": ["7"], "token_logprobs": [HIGH], "top_logprobs": [{"7": HIGH, "8": LOW}]},
         {"7": HIGH, "8": LOW}),
        ({"tokens": ["▁7"], "top_logprobs": [{"▁7": HIGH}]}, {" 7": HIGH}),
    ],
)  # fmt: skip
def test_tokens_are_read_in_every_shape(logprobs: Any, found: dict[str, float]) -> None:
    assert likeliest(logprobs, "7 of it") == found
    assert list(likeliest(logprobs, "7 of it")) == sorted(found, key=found.__getitem__)


@pytest.mark.parametrize(
    "logprobs",
    [
        None, "absent", [], {}, {"content": None}, {"content": []}, {"content": [None]},
        chat(("7", HIGH), top_logprobs=[]), chat(("7", HIGH), top_logprobs=None),
        chat(("7", None)), chat(("", HIGH)), {"content": [{"token": "7", "logprob": HIGH}]},
        {"tokens": [], "top_logprobs": []}, {"tokens": None, "top_logprobs": None},
        {"top_logprobs": [None]}, chat(("7", HIGH), top_logprobs=[None, 7, "x"]),
        chat(("▁", HIGH), ("7", LOW)),  # the number is a later token
        chat(("\n", HIGH), ("7", LOW)),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_empty(logprobs: Any) -> None:
    assert likeliest(logprobs, "7 of it") == {}


@pytest.mark.parametrize("first", ["<think>", "Let", "[THINK]", "1"])
def test_the_tokens_of_a_hidden_thought_are_not_the_replys(first: str) -> None:
    assert likeliest(chat((first, HIGH)), "7 of it") == {}
    assert likeliest(chat((first, HIGH)), "") == {}
    assert likeliest(chat((first, HIGH)), f"{first} of it") != {}


def test_a_blank_that_is_only_likely_leaves_numbers_to_read() -> None:
    found = chat((" ", math.log(0.5)), ("7", math.log(0.4)))
    assert likeliest(found, "7") == {" ": math.log(0.5), "7": math.log(0.4)}
