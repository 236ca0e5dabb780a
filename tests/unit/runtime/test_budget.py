"""The costs adds up over starts, stops at its cap, and goes on with more."""

import json
from pathlib import Path

import pytest

from simulator.core.errors import CostCapReached
from simulator.core.timing import Usage
from simulator.runtime.budget import CAPS, CostTracker, note_cap
from simulator.store.run import COSTS


def spend(usage: Usage, cost: float) -> None:
    usage.read += 100
    usage.written += 10
    usage.cost += cost


def test_spending_is_written_down_once_and_outlives_the_process(tmp_path: Path) -> None:
    usage = Usage()
    costs = CostTracker(tmp_path, None, usage)
    costs.record()
    assert not (tmp_path / COSTS).exists()  # nothing spent, nothing written
    for cost in (0.5, 0.25):
        spend(usage, cost)
        costs.record()
        costs.record()
    lines = [json.loads(line) for line in (tmp_path / COSTS).read_text().splitlines()]
    assert lines == [{"read": 100, "written": 10, "cost": cost} for cost in (0.5, 0.25)]
    assert CostTracker(tmp_path, None, Usage()).spent == costs.spent == 0.75


def test_the_cap_stops_and_says_how_to_go_on(tmp_path: Path) -> None:
    usage = Usage()
    costs = CostTracker(tmp_path, 1.0, usage)
    spend(usage, 0.9)
    costs.record()
    costs.check()
    spend(usage, 0.1)
    costs.record()
    with pytest.raises(CostCapReached, match=rf"cost 1\.00.*cap is 1;.*resume {tmp_path} --cost"):
        costs.check()
    again = CostTracker(tmp_path, 1.0, Usage())
    with pytest.raises(CostCapReached):
        again.check()  # before anything is asked


def test_the_last_cap_given_holds(tmp_path: Path) -> None:
    assert CostTracker(tmp_path, 1.0, Usage()).cap == 1.0
    for cap in (2.0, 5.0):
        note_cap(tmp_path, cap)
    assert CostTracker(tmp_path, 1.0, Usage()).cap == 5.0
    lines = [json.loads(line) for line in (tmp_path / CAPS).read_text().splitlines()]
    assert [line["cap"] for line in lines] == [2.0, 5.0]
    assert all("T" in line["at"] for line in lines)
