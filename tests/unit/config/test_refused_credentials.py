"""Keys where none is due: refused, and not repeated, wherever they stand."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from simulator.backends.config import OpenAIConfig, VLLMConfig
from simulator.config.loading import load
from simulator.core.errors import ScenarioError

URL = "http://127.0.0.1:9/v1"
# Distinct in each place, with and without the shape of a provider's key.
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"url": "http://me:hunter2@h/v1"}, "hunter2", "has no user, password, key"),
    ({"url": "http://me:p/w@hunter3@h/v1"}, "hunter3", "has no user, password, key"),
    ({"url": "http://hunter4@h/v1"}, "hunter4", "has no user, password, key"),
    ({"url": "http://h/v1?api_key=hunter5"}, "hunter5", "has no user, password, key"),
    ({"url": "http://h/v1?v=1&sig=hunter6"}, "hunter6", "has no user, password, key"),
    ({"url": "http://h/v1#hunter7"}, "hunter7", "has no user, password, key"),
    ({"url": "http://h/sk-planted-hunter8/v1"}, "hunter8", "has no user, password, key"),
    ({"url": "http://me:hunter9/v1"}, "hunter9", "invalid URL"),
    ({"key_variable": "hunter-10"}, "hunter-10", "must be the name of an environment variable"),
    ({"key_variable": "sk-planted0123456789"}, "planted0", "must be the name of an environment"),
    ({"key_variable": "hf_planted0123456789abcd"}, "planted0", "must be the name of an env"),
    ({"key_variable": "c0ffee11c0ffee12c0ffee13"}, "c0ffee", "must be the name of an environment"),
    ({"key_variable": 123456789}, "123456789", "valid string"),
    ({"api_key": "hunter12"}, "hunter12", "unknown key; put the secret into the variable"),
    ({"extra_body": {"api_key": "hunter13"}}, "hunter13", "'api_key' holds a key"),
    ({"extra_body": {"h": [{"Authorization": "hunter14"}]}}, "hunter14", "'Authorization' holds"),
    ({"extra_body": {"x": "sk-planted0123456789"}}, "planted0", "'x' holds a key"),
    ({"extra_body": "hunter15"}, "hunter15", "mapping of keys to values"),
]
SERVERS: list[tuple[dict[str, Any], str, str]] = [
    ({"arguments": ["--api-key=hunter16"]}, "hunter16", "'--api-key' holds a key"),
    ({"arguments": ["--hf_token", "hunter17"]}, "hunter17", "'--hf_token' holds a key"),
    ({"arguments": ["--x", "sk-planted0123456789"]}, "planted0", "one of them is a key"),
    ({"url": "http://me:hunter18@h"}, "hunter18", "has no user, password, key"),
    ({"key_variable": "hunter-19"}, "hunter-19", "must be the name of an environment variable"),
]
ALL = [
    *(({"kind": "openai", "url": URL, **settings}, *rest) for settings, *rest in MISTAKES),
    *(({"kind": "vllm", **settings}, *rest) for settings, *rest in SERVERS),
]


@pytest.mark.parametrize(("backend", "secret", "said"), ALL)
def test_a_key_is_refused_and_not_repeated(
    tmp_path: Path, backend: dict[str, Any], secret: str, said: str
) -> None:
    whole = {"extends": "therapy", "model": "m", "learner": {"kind": "none"}, "backend": backend}
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(whole))
    role = {"roles": {"judge": {"model": "m", "backend": backend}}}
    by_options = [f"{key}={yaml.safe_dump(value, default_flow_style=True, width=1000)}"
                  for key, value in {**backend, "kind": None}.items() if value]  # fmt: skip
    ways: list[dict[str, Any]] = [
        {"source": str(path)},
        {"source": "therapy", "options": role},
        {"source": "therapy", "overrides": [f"backend={yaml.safe_dump(backend, width=1000)}"]},
        {
            "source": "therapy",
            "overrides": [f"backend.kind={backend['kind']}", *(f"backend.{o}" for o in by_options)],
        },
    ]
    for way in ways:
        with pytest.raises(ScenarioError) as caught:
            load(**way)
        assert said in str(caught.value)
        assert secret not in str(caught.value)


@pytest.mark.parametrize(("backend", "secret", "said"), ALL)
def test_python_is_told_no_more(backend: dict[str, Any], secret: str, said: str) -> None:
    kind = OpenAIConfig if backend["kind"] == "openai" else VLLMConfig
    with pytest.raises(ValidationError) as caught:
        kind(**backend)
    assert secret not in str(caught.value)


def test_the_value_of_the_variable_is_refused_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "Planted Secret 20")
    backend = {"kind": "openai", "url": URL, "key_variable": "JUDGE_KEY"}
    served = {"model": "m", "learner": {"kind": "none"}, "backend": backend}
    asked = {"extra_body": {"user": ["as Planted Secret 20"]}}
    for found in (
        {"description": "with Planted Secret 20"},
        {"backend": {**backend, **asked}},
        {"backend": {**backend, "extra_body": {"Planted Secret 20": 1}}},
    ):
        with pytest.raises(ScenarioError, match="holds a secret of the environment") as caught:
            load("therapy", options={**served, **found})
        assert "Planted" not in str(caught.value)
    assert load("therapy", options=served).backend == OpenAIConfig(**backend)


def test_what_only_resembles_a_key_is_allowed() -> None:
    found = OpenAIConfig(
        url="https://gateway.example/v1/0123456789abcdef0123456789abcdef/openai",
        key_variable=" JUDGE_KEY_2 ",
        extra_body={
            "prompt_cache_key": "round-1",
            "response_format": {"properties": {"key": {"type": "string"}}, "required": ["token"]},
            "token": "",
        },
    )
    assert found.key_variable == "JUDGE_KEY_2"
    VLLMConfig(arguments=("--tokenizer=x", "--ssl-keyfile", "server.key", "--seed=1"))
