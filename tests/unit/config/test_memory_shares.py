"""Servers of one scenario fit on one GPU beside the learner, however many they are."""

from typing import Any

import pytest

from simulator.backends.config import SERVERS_SHARE, VLLMConfig
from simulator.config.loading import load
from simulator.config.memory_shares import share_of_each
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError


@pytest.mark.parametrize(
    ("own", "share"),
    [([None], 0.5), ([None, None], 0.25), ([0.3, None, None], 0.1), ([0.1, None, 0.2], 0.2)],
)
def test_servers_divide_what_is_left(own: list[float | None], share: float) -> None:
    assert share_of_each(own) == pytest.approx(share)
    total = sum(share_of_each(own) if named is None else named for named in own)
    assert total == pytest.approx(SERVERS_SHARE)


def test_nothing_left_is_said() -> None:
    with pytest.raises(ScenarioError, match=r"memory_share: .* 50%.* set one for"):
        share_of_each([0.4, 0.1, None])


def served(backend: dict[str, Any], **roles: dict[str, Any]) -> Scenario:
    options = {"backend": {"kind": "vllm", **backend}, "roles": roles}
    return load("therapy", options=options)


def shares(scenario: Scenario) -> dict[str, float | None]:
    engines = {"": scenario.backend, **{n: r.backend for n, r in scenario.roles.items()}}
    return {
        n: engine.memory_share for n, engine in engines.items() if isinstance(engine, VLLMConfig)
    }


def test_only_servers_that_we_start_count_and_equal_ones_once() -> None:
    vllm, elsewhere = {"kind": "vllm"}, {"kind": "vllm", "url": "http://127.0.0.1:1"}
    scenario = served(
        {},
        user={"model": "a", "backend": vllm},
        rater={"model": "a", "backend": vllm},
        judge={"model": "b", "backend": elsewhere},
        monitor={"model": "c", "backend": vllm},  # nobody asks it
    )
    found = shares(scenario)
    assert (found[""], found["user"], found["rater"], found["judge"]) == (0.25, 0.25, 0.25, None)
    assert scenario.roles["user"] == scenario.roles["rater"]  # still one server


def test_a_share_that_is_named_stays() -> None:
    found = shares(served({"memory_share": 0.4}, judge={"model": "b", "backend": {"kind": "vllm"}}))
    assert found == {"": 0.4, "judge": pytest.approx(0.1)}
    both = {"kind": "vllm", "memory_share": 0.4}
    assert shares(served(both, judge={"model": "b", "backend": both})) == {"": 0.4, "judge": 0.4}
