"""What endpoints mean by their errors, in the words of many servers."""

import json
from typing import Any

import pytest

from simulator.backends.refusals import error_within, refusal_of

OPENAI = {"type": "invalid_request_error", "param": None, "code": None}
LONG: list[tuple[int, Any]] = [
    (400, {"error": {**OPENAI, "message": "This model's maximum context length is 512 tokens. "
           "However, you requested 900 tokens (800 in the messages, 100 in the completion).",
           "code": "context_length_exceeded"}}),
    (400, {"error": {**OPENAI, "message": "Your input exceeds the context window of this model."}}),
    (400, {"error": {**OPENAI, "message": "'max_tokens' or 'max_completion_tokens' is too large: "
           "100. This model's maximum context length is 512 tokens and your request has 500.",
           "param": "max_tokens"}}),
    (400, {"object": "error", "message": "The decoder prompt (length 900) is longer than the "
           "maximum model length of 512.", "type": "BadRequestError", "code": 400}),
    (400, {"error": {"code": 400, "message": "the request exceeds the available context size",
           "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512}}),
    (500, {"error": {"code": 500, "message": "the prompt overflows", "n_ctx": 512}}),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 512. "
           "Given: 900 `inputs` tokens and 40 `max_new_tokens`", "error_type": "validation"}),
    (422, {"error": "Input validation error: `inputs` must have less than 512 tokens. Given: 9"}),
    (400, {"type": "error", "error": {"type": "invalid_request_error",
           "message": "prompt is too long: 900 tokens > 512 maximum"}}),
    (400, {"type": "error", "error": {"type": "invalid_request_error",
           "message": "input length and `max_tokens` exceed context limit: 900 + 100 > 512"}}),
    (413, {"type": "error", "error": {"type": "request_too_large", "message": "too big"}}),
    (400, [{"error": {"code": 400, "message": "The input token count (900) exceeds the maximum "
            "number of tokens allowed (512).", "status": "INVALID_ARGUMENT"}}]),
    (413, {"error": {"message": "Request too large for this model on tokens per minute (TPM)",
           "type": "tokens", "code": "rate_limit_exceeded"}}),
    (429, {"error": {"message": "Request too large for gpt on tokens per min (TPM): Limit 10000",
           "type": "tokens", "code": "rate_limit_exceeded"}}),
    (400, {"object": "error", "message": "Prompt contains 900 tokens and 0 draft tokens, too large "
           "for model with 512 maximum context length", "type": "invalid_request_error"}),
    (400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 512"}),
    (400, {"error": "Trying to keep the first 900 tokens when context the overflows. However, the "
           "model is loaded with context length of only 512 tokens"}),
    (400, {"error": "the input length exceeds the context length"}),
    (400, {"message": "Input is too long for requested model."}),
    (400, {"code": "invalid", "error": "This model's maximum prompt length is 512 but the request "
           "contains 900 tokens."}),
    (400, {"error": {"message": "Range of input length should be [1, 512]",
           "code": "invalid_parameter_error"}}),
    (400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 512"}}),
    (400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}),
    (400, {"error": {"code": "1261", "message": "Prompt 超长"}}),
    (413, {"error": {"code": "tokens_limit_reached", "message": "Body too large. Max 8000"}}),
    (400, {"error": {"message": "prompt token count of 900 exceeds the limit of 512",
           "code": "model_max_prompt_tokens_exceeded"}}),
    (400, {"error": {"message": "your chat has 900 tokens, but only 512 are allowed"}}),
    (400, {"error": {"message": "900 tokens > 512"}}),
    (400, {"error": {"message": "this engine takes at most 512 tokens"}}),
    (400, {"detail": "Requested tokens (900) exceed context window of 512"}),
    (400, {"object": "error", "message": "The sum of prompt length (900.0) and max_tokens (10) "
           "should not exceed max_num_tokens (512)"}),
    (400, {"message": "Requested token count exceeds the model's maximum context length"}),
    (400, {"detail": [{"type": "value_error", "loc": ["body", "messages"],
                       "msg": "Value error, conversation is too long"}]}),
]  # fmt: skip
NOT_LONG: list[tuple[int, Any]] = [
    (400, {"error": {**OPENAI, "message": "max_tokens is too large: 5000. This model supports at "
           "most 4096 completion tokens", "param": "max_tokens"}}),
    (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: "
           "5000 > 4096, which is the maximum allowed number of output tokens"}}),
    (400, {"error": {"message": "max_tokens is not supported here; use max_completion_tokens"}}),
    (400, {"error": {"message": "top_logprobs must be <= 5"}}),
    (422, {"detail": [{"type": "less_than_equal", "loc": ["body", "top_logprobs"],
                       "msg": "Input should be less than or equal to 5"}]}),
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
                       "msg": "Extra inputs are not permitted"}]}),
    (400, {"error": {"message": "only temperature 1 is supported"}}),
    (400, {"error": {"message": "The response was filtered by the content management policy"}}),
    (401, {"error": {"message": "the token is too long to be a key"}}),
    (404, {"error": {"message": "model with context length 512 not found"}}),
    (429, {"error": {"message": "Rate limit reached for tokens per min. Limit 10000, used 9900"}}),
    (400, {"error": {"message": "Quota of your plan: at most 512 tokens per day"}}),
    (400, {"error": {"message": "Invalid model name"}}),
    (400, "bad request"),
    (500, "<html>oh no</html>"),
    (400, None),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body"), LONG)
def test_too_long_is_known_in_every_dialect(status: int, body: Any) -> None:
    assert refusal_of(status, body).too_long


@pytest.mark.parametrize(("status", "body"), NOT_LONG)
def test_what_shorter_chats_would_not_mend_is_not_too_long(status: int, body: Any) -> None:
    assert not refusal_of(status, body).too_long


def test_the_message_is_quoted_wherever_it_stands() -> None:
    for body in (
        {"error": {"message": "oh  no", "code": 7}}, [{"error": {"message": "oh no"}}],
        {"message": "oh no"}, {"detail": "oh no"}, {"error": "oh no"}, "oh\nno",
        {"detail": [{"loc": ["body"], "msg": "oh no", "type": "t"}]},
        {"base_resp": {"status_code": 1002, "status_msg": "oh no"}},
    ):  # fmt: skip
        assert refusal_of(400, body).words == "oh no"
    assert refusal_of(400, {"error": {"message": "a \ud83d b"}}).words == "a � b"
    deep: Any = {"error": {"message": "deep"}}
    for _ in range(100):
        deep = {"error": deep}
    refusal_of(400, deep)


GOOD: dict[str, Any] = {
    "choices": [{"message": {"content": "yes"}, "finish_reason": "stop", "logprobs": None}]
}
FAILED = {"message": {"content": ""}, "finish_reason": "error"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (GOOD, None),
        ({**GOOD, "error": None}, None),
        (
            {"choices": [{"message": {"content": 'an "error" of mine'}, "finish_reason": "stop"}]},
            None,
        ),
        ({"choices": None, "error": {"message": "overloaded", "code": 502}}, 502),
        ({"error": {"message": "limited", "code": 429}}, 429),
        ({"error": {"message": "limited", "code": "429"}}, 429),
        ([{"error": {"message": "no", "code": 400}}], 400),
        ({"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, 429),
        ({"error": {"message": "Incorrect API key", "type": "invalid_request_error"}}, 401),
        ({"error": {"message": "no such thing", "type": "invalid_request_error"}}, 400),
        ({"error": {"message": "what now"}}, 502),
        ({"error": "overloaded"}, 503),
        ({"detail": "Not Found"}, 404),
        ({"object": "error", "message": "maximum context length is 9", "code": 400}, 400),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, 429),
        ({"code": 500, "msg": "server busy", "success": False}, 500),
        ({"choices": [{**FAILED, "error": {"code": 502, "message": "cut"}}]}, 502),
        ({"choices": [FAILED]}, 502),
        ({"choices": [{**FAILED, "finish_reason": "insufficient_system_resource"}]}, 502),
        ({"choices": [{**FAILED, "finish_reason": "abort"}]}, 502),
        ({"choices": []}, None),
        ({}, None),
        ("<html>", None),
    ],
)
def test_an_error_with_status_200_has_the_status_that_it_names(
    body: Any, status: int | None
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert error_within(text.encode()) == status


@pytest.mark.parametrize("text", ["", "[" * 100_000, '{"error"', "null", "[]", '"error"', "7"])
def test_no_body_is_too_odd(text: str) -> None:
    assert error_within(text.encode()) is None
    refusal_of(400, text)
