"""Answers of a vLLM server that aren't whole, or aren't to the request, are refused."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from openai._models import construct_type
from openai.types import Completion

from simulator.backends.vllm_answers import check_answer

SAMPLED = {"model": "r0001-a", "prompt": [5, 6], "max_tokens": 3, "n": 2, "extra_body": {}}
READ = {"model": "base", "prompt": [5, 6], "max_tokens": 1, "logprobs": 2,
        "extra_body": {"logprob_token_ids": [7, 8]}}  # fmt: skip


def choice(**more: Any) -> dict[str, Any]:
    return {"index": 0, "text": "x", "finish_reason": "stop", "prompt_token_ids": [5, 6],
            "token_ids": [7], **more}  # fmt: skip


def sampled() -> dict[str, Any]:
    return {"model": "r0001-a", "choices": [choice(), choice(finish_reason="length")]}


def read() -> dict[str, Any]:
    top = {"token_id:7": -0.5, "token_id:8": -1, "token_id:9": -2.0}
    return {"model": "any name", "choices": [choice(logprobs={"top_logprobs": [top]})]}


def parsed(said: Any) -> Any:
    """As OpenAI's client reads it, which checks nothing."""
    return construct_type(type_=Completion, value=said)


def top_of(said: dict[str, Any]) -> Any:
    return said["choices"][0]["logprobs"]["top_logprobs"][0]


def test_whole_answers_are_taken() -> None:
    check_answer(SAMPLED, parsed(sampled()))
    check_answer(READ, parsed(read()))
    likeliest = {**READ, "extra_body": {}}
    check_answer(likeliest, parsed(read()))


@pytest.mark.parametrize("said", ["<html>", None, [], {}, {"choices": "two"}, {"choices": None}])
def test_what_is_no_answer_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="no choices in place of 2"):
        check_answer(SAMPLED, parsed(said))


def last(said: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = said["choices"][-1]
    return found


DAMAGES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda said: said["choices"].pop(), "1 choices in place of 2"),
    (lambda said: said["choices"].append(choice()), "3 choices in place of 2"),
    (lambda said: said.update(model="base"), "'base' answers in place of 'r0001-a'"),
    (lambda said: said.pop("model"), "'None' answers in place of 'r0001-a'"),
    (lambda said: last(said).update(prompt_token_ids=[5, 7]), "to another prompt"),
    (lambda said: last(said).pop("prompt_token_ids"), "to another prompt"),
    (lambda said: last(said).pop("token_ids"), "no tokens"),
    (lambda said: last(said).update(token_ids=None), "no tokens"),
    (lambda said: last(said).update(token_ids=[]), "no tokens"),
    (lambda said: last(said).update(token_ids=["7"]), "no tokens"),
    (lambda said: last(said).update(token_ids=[True]), "no tokens"),
    (lambda said: last(said).update(token_ids=[-1]), "no tokens"),
    (lambda said: last(said).update(token_ids=[2**31]), "no tokens"),
    (lambda said: last(said).update(token_ids=[7] * 4), "not those of a reply"),
    (lambda said: last(said).update(finish_reason="abort"), "for the reason 'abort'"),
    (lambda said: last(said).pop("finish_reason"), "for the reason 'None'"),
    (lambda said: said.update(choices=["a", "b"]), "to another prompt"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "told"), DAMAGES)
def test_damaged_replies_are_refused(damage: Callable[[dict[str, Any]], object], told: str) -> None:
    said = sampled()
    damage(said)
    with pytest.raises(ValueError, match=told):
        check_answer(SAMPLED, parsed(said))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda said: said["choices"][0].pop("logprobs"), "are missing"),
        (lambda said: said["choices"][0].update(logprobs=None), "are missing"),
        (lambda said: said["choices"][0]["logprobs"].update(top_logprobs=[]), "are missing"),
        (lambda said: said["choices"][0]["logprobs"].update(top_logprobs=[None]), "are missing"),
        (lambda said: top_of(said).pop("token_id:8"), "are missing"),
        (lambda said: top_of(said).update({"token_id:7": None}), "aren't numbers of tokens"),
        (lambda said: top_of(said).update({"token_id:7": float("nan")}), "aren't numbers"),
        (lambda said: top_of(said).update({"seven": -1.0}), "aren't numbers of tokens"),
    ],
)
def test_damaged_readings_are_refused(
    damage: Callable[[dict[str, Any]], object], told: str
) -> None:
    said = copy.deepcopy(read())
    damage(said)
    with pytest.raises(ValueError, match=told):
        check_answer(READ, parsed(said))
