"""Scenarios with endpoints: their settings, what they can't do, and what they cost at most."""

from typing import Any

import pytest

from simulator.backends.config import OpenAIConfig, VLLMConfig
from simulator.config.loading import load
from simulator.core.errors import ScenarioError
from simulator.experiments.dry_run import dry_run_table
from simulator.runtime.upper_bounds import bounds, cost
from simulator.simulation.config import ASSISTANT

URL = "http://127.0.0.1:9/v1"
SERVED: dict[str, Any] = {"model": "a-model", "learner": {"kind": "none"}}


def endpoint(**settings: Any) -> dict[str, Any]:
    return {"kind": "openai", "url": URL, **settings}


def test_settings_of_an_endpoint_are_read_for_roles_too() -> None:
    backend = endpoint(extra_body={"reasoning_effort": "low", "a": {"b": [1]}}, omit=["seed"])
    role = {"model": "a-model", "backend": backend}
    found = load("therapy", options={"roles": {"judge": role, "rater": role}})
    assert found.roles["judge"].model_dump(mode="json")["backend"]["extra_body"] == {
        "reasoning_effort": "low",
        "a": {"b": [1]},
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"extra_body": {"max_tokens": 5}}, "invalid key max_tokens; each request says this"),
        ({"omit": ["messages"]}, "omit"),
        ({"token_limit": "length"}, "token_limit"),
        ({"top_logprobs": 0}, "top_logprobs"),
        ({"url": "127.0.0.1:8000/v1"}, "url: invalid URL"),
        ({"url": "ftp://127.0.0.1/v1"}, "url: invalid URL"),
        ({"url": "http:///v1"}, "url: invalid URL"),
        ({"url": "http://127.0.0.1:abc/v1"}, "url: invalid URL"),
        ({"url": "http://[::1/v1"}, "url: invalid URL"),
        ({"url": "http://127.0.0.1/a b"}, "url: invalid URL"),
        ({"url": "http://me:secret@127.0.0.1/v1"}, "has no user, password, key.*key_variable"),
        ({"url": "http://127.0.0.1/v1?key=secret"}, "has no user, password, key.*key_variable"),
        ({"url": URL + "/chat/completions"}, "url: leave /chat/completions out"),
    ],
)
def test_mistaken_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        load("therapy", options={**SERVED, "backend": endpoint(**settings)})


def test_a_url_may_be_written_in_several_ways() -> None:
    for url in (f" {URL} ", "https://host.example", "http://[::1]:8000/v1/"):
        assert OpenAIConfig(url=url).url == url.strip()
    for url in ("http://127.0.0.1:9", "http://127.0.0.1:9/", "http://127.0.0.1:9/v1", f"{URL}/"):
        assert VLLMConfig(url=url).url == "http://127.0.0.1:9"
    assert VLLMConfig(url=" ").url == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learner": {"kind": "sft"}}, r"backend: .*learner: \{kind: none\}"),
        ({"screening": {"direction": "d", "drop": 0.1}}, "needs activations"),
        ({"measure": {"probes": {"c": {"kind": "capability",
                                       "data": "docs/examples/questions.jsonl"}}}},
         "needs score_continuations"),
        ({"phases": [{"kind": "finetune", "data": [{"kind": "file", "path": "x.jsonl"}],
                      "match_lengths": {"phase": "y"}}]}, "match_lengths: counts tokens"),
    ],
)  # fmt: skip
def test_what_needs_the_model_itself_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        load("therapy", options={**SERVED, "backend": endpoint(), **options})


def test_a_dry_run_counts_what_an_assistant_at_an_endpoint_costs() -> None:
    prices = endpoint(input_price=1.0, output_price=2.0)
    found = load("therapy", options={**SERVED, "backend": prices, "rounds": 1})
    each = bounds(found)
    assert {bound.role for bound in each} == {ASSISTANT, "user", "rater", "judge"}
    tokens = sum(bound.tokens_read + 2 * bound.tokens_written for bound in each)
    assert cost(found, each) == pytest.approx(tokens / 1e6)
    assert dry_run_table(found).row_count > len(each)


@pytest.mark.parametrize(("price", "said"), [(0.0, 1), (0.5, 0)])
def test_a_cap_without_prices_is_said_to_be_of_no_use(price: float, said: int) -> None:
    told = list[str]()
    backend = endpoint(input_price=price)
    load("therapy", options={**SERVED, "backend": backend, "cost_cap": 5.0}, notify=told.append)
    assert len([one for one in told if one.startswith("cost_cap")]) == said
