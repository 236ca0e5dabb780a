"""Whether what a vLLM server answers is the whole answer to what was asked.

OpenAI's client checks nothing. A reply that is missing, or is another request's, would be taken for
what the model said.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from simulator.backends.vllm_adapters import BASE

STOPS = ("stop", "length")
ID_ROOM = 2**31  # tokenizers take no larger ids
A_TOKEN = re.compile(r"token_id:\d+")


def check_answer(body: Mapping[str, Any], answer: Any) -> None:
    """Refuse an answer that isn't whole, or isn't this request's.

    Args:
        body: the request; its prompt is token ids.
        answer: as OpenAI's client read it.

    Raises:
        ValueError: says what is wrong.
    """
    given = getattr(answer, "choices", None)
    choices = given if isinstance(given, list) else []
    if len(choices) != (wanted := body.get("n", 1)):
        raise ValueError(f"its answer has {len(choices) or 'no'} choices in place of {wanted}")
    model = body["model"]
    if model not in (BASE, answer.model):  # the base may have several names
        raise ValueError(f"'{answer.model}' answers in place of '{model}'")
    for choice in choices:
        _check_choice(body, choice)


def _check_choice(body: Mapping[str, Any], choice: Any) -> None:
    if getattr(choice, "prompt_token_ids", None) != body["prompt"]:
        raise ValueError("its answer is to another prompt")
    ids = getattr(choice, "token_ids", None)
    if not _are_ids(ids) or len(ids) > body["max_tokens"]:
        raise ValueError("a choice has no tokens, or not those of a reply")
    if choice.finish_reason not in STOPS:
        raise ValueError(f"a reply ends for the reason '{choice.finish_reason}'")
    if "logprobs" in body:
        tokens = body["extra_body"].get("logprob_token_ids", ())
        _check_logprobs(getattr(choice, "logprobs", None), tokens)


def _check_logprobs(logprobs: Any, tokens: Sequence[int]) -> None:
    """Refuse what isn't one position's log-probabilities, those of the tokens among them."""
    positions = getattr(logprobs, "top_logprobs", None)
    top = positions[0] if isinstance(positions, list) and len(positions) == 1 else None
    if not isinstance(top, dict) or not top.keys() >= {f"token_id:{token}" for token in tokens}:
        raise ValueError("log-probabilities are missing")
    if not all(A_TOKEN.fullmatch(key) and _is_finite(value) for key, value in top.items()):
        raise ValueError("log-probabilities aren't numbers of tokens")


def _are_ids(ids: Any) -> TypeGuard[list[int]]:
    whole = isinstance(ids, list) and {type(number) for number in ids} == {int}
    return whole and min(ids) >= 0 and max(ids) < ID_ROOM


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
