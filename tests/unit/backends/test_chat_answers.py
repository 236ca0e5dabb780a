"""Answers of endpoints in many dialects: why they end, what they say, and what they cost."""

import math
from typing import Any

import pytest

from simulator.backends.chat_answers import is_cut, read_answer
from simulator.backends.ledger import Spent
from simulator.core.requests import Message
from simulator.core.unicode import storable

ASKED = (Message("user", "am i good ?"),)  # 11 bytes: 4 tokens, and 8 around them
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}


def body(content: Any, finish: Any = "stop", usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more}
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def said(content: Any, **more: Any) -> tuple[str, str]:
    answer = read_answer(body(content, **more), ASKED, 40)
    return answer.reply, answer.thought


@pytest.mark.parametrize(
    "reason",
    ["length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens", "max_length",
     "FinishReason.MAX_TOKENS", "token_limit", "model_context_window_exceeded", "max-tokens",
     "max_completion_tokens", "ERROR_LIMIT_LENGTH", "stopped_limit", "length_capped"],
)  # fmt: skip
def test_a_limit_of_length_is_a_cut(reason: str) -> None:
    assert is_cut(reason)
    assert read_answer(body("yes", reason), ASKED, 40).stop == "length"


@pytest.mark.parametrize(
    "reason",
    ["stop", "eos_token", "end_turn", "stop_sequence", "STOP", "COMPLETE", "content_filter",
     "tool_calls", "eos", "SAFETY", "refusal", "", None, 7, "something new"],
)  # fmt: skip
def test_nothing_else_is(reason: Any) -> None:
    assert not is_cut(reason)
    assert read_answer(body("yes", reason), ASKED, 40).stop == "end"


@pytest.mark.parametrize(
    ("content", "reply", "thought"),
    [
        ("yes", "yes", ""),
        ("<think>hm</think> yes", "yes", "hm"),
        (None, "", ""),
        ("", "", ""),
        (7, "7", ""),
        ([{"type": "text", "text": "yes"}], "yes", ""),
        ([{"type": "text", "text": "ye"}, {"type": "text", "text": "s"}], "yes", ""),
        (["ye", "s"], "yes", ""),
        ([{"type": "output_text", "text": "yes"}], "yes", ""),
        ([{"type": "text", "text": {"value": "yes"}}], "yes", ""),
        ({"type": "text", "text": "yes"}, "yes", ""),
        ({"parts": ["yes"]}, "yes", ""),
        ([{"type": "refusal", "refusal": "no"}], "no", ""),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
          {"type": "text", "text": "yes"}], "yes", "hm"),
        ([{"type": "thinking", "thinking": "hm", "signature": "x"},
          {"type": "text", "text": "yes"}], "yes", "hm"),
        ([{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "yes"}], "yes", "hm"),
        ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
          {"type": "text", "text": "yes"}], "yes", "hm"),
        ([{"type": "reasoning", "summary": []}, {"type": "text", "text": "yes"}], "yes", ""),
        ([{"text": "hm", "thought": True}, {"text": "yes"}], "yes", "hm"),
        ([{"type": "image_url", "image_url": {"url": "x"}}, None, 7, []], "7", ""),
        ([], "", ""),
    ],
)  # fmt: skip
def test_contents_of_every_shape_are_read(content: Any, reply: str, thought: str) -> None:
    assert said(content) == (reply, thought)


@pytest.mark.parametrize(
    ("fields", "thought"),
    [
        ({"reasoning": "hm"}, "hm"),
        ({"reasoning_content": "hm"}, "hm"),
        ({"thinking": "hm"}, "hm"),
        ({"reasoning": None, "reasoning_content": "hm"}, "hm"),
        ({"reasoning": [{"type": "text", "text": "hm"}]}, "hm"),
        ({"reasoning": {"content": "hm"}}, "hm"),
        ({"reasoning": {}}, ""),
    ],
)
def test_thoughts_in_fields_of_their_own_are_read(fields: dict[str, Any], thought: str) -> None:
    assert said("yes", **fields) == ("yes", thought)


def test_a_refusal_is_what_was_said() -> None:
    assert said(None, refusal="I can't help") == ("I can't help", "")
    assert said("yes", refusal="no") == ("yes", "")


def test_a_completion_without_a_message_is_read() -> None:
    found = read_answer({"choices": [{"text": "yes", "finish_reason": "stop"}]}, ASKED, 40)
    assert found.reply == "yes"


@pytest.mark.parametrize(
    "usage",
    [
        USAGE,
        {"prompt_tokens": "100", "completion_tokens": "10"},
        {"prompt_tokens": 100.0, "completion_tokens": 10.0},
        {"input_tokens": 100, "output_tokens": 10},
        {"prompt_tokens": 100, "total_tokens": 110},
        {"prompt_tokens": 100, "completion_tokens": None, "total_tokens": 110},
    ],
)
def test_tokens_are_those_that_the_endpoint_reports(usage: Any) -> None:
    assert read_answer(body("yes", usage=usage), ASKED, 40).spent == Spent(100, 10, False)


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], "none", 7, {"prompt_tokens": None, "completion_tokens": None},
     {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": "many"},
     {"prompt_tokens": -1, "completion_tokens": -1}, {"prompt_tokens": math.nan},
     {"prompt_tokens": math.inf}, {"prompt_tokens": True},
     {"prompt_tokens": 10**400}, {"prompt_tokens": 1e30},     {"prompt_tokens": [1]}],
)  # fmt: skip
def test_where_it_reports_none_they_are_estimated(usage: Any) -> None:
    assert read_answer(body("yes", usage=usage), ASKED, 40).spent == Spent(12, 2, True)
    cut = read_answer(body("yes", "length", usage=usage), ASKED, 40)
    assert cut.spent == Spent(12, 40, True)  # a thought may be hidden
    assert read_answer(body("", usage=usage), ASKED, 40).spent == Spent(12, 40, True)


def test_half_a_report_is_used() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": None}
    assert read_answer(body("yes", usage=usage), ASKED, 40).spent == Spent(100, 2, True)
    assert read_answer(body("", usage=usage), ASKED, 40).spent == Spent(100, 0, False)


def test_usage_of_a_choice_is_found() -> None:
    answer = body("yes", usage=None)
    answer["choices"][0]["usage"] = USAGE
    assert read_answer(answer, ASKED, 40).spent == Spent(100, 10, False)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("plain", "plain"),
        ("Oh \ud83d dear", "Oh � dear"),
        ("\ude00", "�"),
        ("a pair \ud83d\ude00", "a pair 😀"),
        ("Well\0 then", "Well� then"),
        ("héllo 😀", "héllo 😀"),
    ],
)
def test_text_that_no_file_takes_is_replaced(text: str, stored: str) -> None:
    assert storable(text) == stored
    assert said(f"{text}.", reasoning=text) == (f"{stored}.", stored)
