"""What counts as a secret, and texts without secrets."""

import pytest

from simulator.core.credentials import (
    has_a_key,
    keep_secret,
    looks_random,
    masked,
    names_a_secret,
    redacted,
    redacted_within,
    secrets_of,
)

KEYS = (
    "sk-proj-abcDEF0123456789",
    "hf_abcdefGHIJKLmnop0123456789",
    "ghp_0123456789abcdefghijABCDEFGHIJ",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-0123456789abcdefghijklmnopqrs",
    "xoxb-123456789012-abcdef",
)


def test_a_kept_secret_is_hidden_however_a_url_writes_it() -> None:
    keep_secret("planted/9 secret&more")
    assert redacted("a planted/9 secret&more b") == "a *** b"
    assert redacted("?x=planted%2F9%20secret%26more") == "?x=***"
    nested = {"planted/9 secret&more": ["planted/9 secret&more", 1, None]}
    assert redacted_within(nested) == {"***": ["***", 1, None]}


def test_a_secret_that_begins_with_another_is_hidden_whole() -> None:
    keep_secret("planted-short")
    keep_secret("planted-short-and-long")
    assert redacted("planted-short-and-long, planted-short") == "***, ***"


def test_a_short_value_stands_for_a_key_and_is_a_word_of_replies() -> None:
    keep_secret("EMPTY")
    assert redacted("EMPTY") == "EMPTY"


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("HF_TOKEN", "hf_12345678", {"hf_12345678"}),
        ("wandb_api_key", "0123456789abcdef", {"0123456789abcdef"}),
        ("AWS_SECRET_ACCESS_KEY", "abc/def+0123", {"abc/def+0123"}),
        ("TOKENIZERS_PARALLELISM", "a-long-value-12", set()),
        ("API_TOKEN", "/run/secrets/token1", set()),
        ("MAX_TOKEN", "16000000", set()),
        ("HOME", "abcdefgh12345678", set()),
    ],
)
def test_variables_are_known_by_their_names(name: str, value: str, found: set[str]) -> None:
    assert set(secrets_of({name: value})) == found


def test_the_user_of_a_proxy_is_known_in_all_its_forms() -> None:
    found = set(secrets_of({"HTTPS_PROXY": "http://me:pass%20word@proxy:3128"}))
    assert {"me:pass%20word", "me:pass word", "pass word", "bWU6cGFzcyB3b3Jk"} <= found
    several = "https://a:first-one@x/simple https://second-one@y/simple"
    assert {"first-one", "second-one"} <= set(secrets_of({"PIP_EXTRA_INDEX_URL": several}))


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_providers_are_known_by_their_shape(key: str) -> None:
    assert has_a_key(f"before {key}, after")
    assert masked(f"Incorrect key: '{key}'") == "Incorrect key: '***'"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("http://me:pw@h:1/v1: gone", "http://***@h:1/v1: gone"),
        ("http://h/v1?api_key=pw&a=1: gone", "http://h/v1?api_key=***&a=1: gone"),
        ("http://h/?x=1&access-token=pw", "http://h/?x=1&access-token=***"),
        ("Authorization: Bearer abc.def-123=", "Authorization: Bearer ***"),
    ],
)
def test_what_looks_like_a_secret_is_masked_in_messages(message: str, shown: str) -> None:
    assert masked(message) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://medium.com/@user/post", "mail me@example.org", "task-oriented-dialogue-systems",
        "risk-based-approach-to-things", "the hf_token_of_the_judges", "max_tokens=16",
        "http://h/v1?page=2&keys=3", "basic understanding", "bearer of news", "sk-learn",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    ],
)  # fmt: skip
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert masked(text) == text and not has_a_key(text)


def test_names_that_hold_a_secret() -> None:
    told = ("api_key", "Authorization", "x-api-key", "--hf-token", "client_secret", "Password")
    others = ("max_tokens", "prompt_cache_key", "tokenizer", "keys", "stop_token_ids", "seed")
    assert all(map(names_a_secret, told)) and not any(map(names_a_secret, others))


def test_a_random_name_is_told_from_a_chosen_one() -> None:
    for name in ("af83bc0d2e4f5a6b7c8d", "x_9f8e7d6c5b4a39281706", "Q2hhdEdQVEtleTEyMzQ1Njc4"):
        assert looks_random(name)
    for name in ("OPENAI_API_KEY", "JUDGE_KEY_2", "MY_KEY_2025_01_31", "ANOTHERVERYLONGNAMEINCAPS"):
        assert not looks_random(name)
