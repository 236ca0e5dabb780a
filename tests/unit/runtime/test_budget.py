"""Costs add up over starts, stop a run at its cap, and survive a process that is killed."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.backends.ledger import Spent
from simulator.core.errors import CostCapReached
from simulator.runtime.budget import ANSWERS, CAPS, CostTracker, note_cap
from simulator.store.run import COSTS


def spend(costs: CostTracker, cost: float, key: str = "asked", *, estimated: bool = False) -> None:
    costs.enter(key, {"reply": f"for {cost}"}, Spent(100, 10, estimated), cost)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_spending_is_written_down_once_and_outlives_the_process(tmp_path: Path) -> None:
    costs = CostTracker(tmp_path, None)
    costs.record()
    assert not (tmp_path / COSTS).exists()  # nothing spent, nothing written
    for cost in (0.5, 0.25):
        spend(costs, cost)
        costs.record()
        costs.record()
    assert lines(tmp_path / COSTS) == [
        {"read": 100, "written": 10, "cost": cost} for cost in (0.5, 0.25)
    ]
    assert CostTracker(tmp_path, None).spent == costs.spent == 0.75


def test_what_a_commit_cost_is_one_entry_and_one_more_for_estimates(tmp_path: Path) -> None:
    costs = CostTracker(tmp_path, None)
    for estimated in (False, True, False, True, True):
        spend(costs, 0.5, estimated=estimated)
    assert costs.spent == 2.5
    costs.record()
    assert lines(tmp_path / COSTS) == [
        {"read": 200, "written": 20, "cost": 1.0},
        {"read": 300, "written": 30, "cost": 1.5, "estimated": True},
    ]


def test_a_killed_process_loses_neither_costs_nor_answers(tmp_path: Path) -> None:
    killed = CostTracker(tmp_path, None)
    for cost, key in ((0.5, "a"), (0.25, "b"), (0.125, "a")):
        spend(killed, cost, key)
    assert killed.recall("a") is None  # its own answers are used already
    resumed = CostTracker(tmp_path, 0.8)
    with pytest.raises(CostCapReached, match=r"cost 0\.88"):
        resumed.check()
    found = [resumed.recall(key) for key in ("a", "a", "a", "b", "c")]
    assert found == [
        {"reply": "for 0.5"},
        {"reply": "for 0.125"},
        None,
        {"reply": "for 0.25"},
        None,
    ]
    again = CostTracker(tmp_path, None)  # killed once more before the commit
    assert again.recall("b") == {"reply": "for 0.25"}
    spend(again, 1.0, "c")
    again.record()
    assert lines(tmp_path / COSTS) == [{"read": 400, "written": 40, "cost": 1.875}]
    assert not (tmp_path / ANSWERS).exists()
    assert again.recall("a") is None and CostTracker(tmp_path, None).recall("c") is None


@pytest.mark.parametrize("name", [COSTS, ANSWERS])
def test_a_line_that_was_cut_off_is_dropped(name: str, tmp_path: Path) -> None:
    spend(CostTracker(tmp_path, None), 0.5)
    with (tmp_path / name).open("ab") as file:
        file.write(b'{"read": 7, "wri')
    resumed = CostTracker(tmp_path, None)
    assert resumed.recall("asked") == {"reply": "for 0.5"}
    spend(resumed, 0.25)
    assert CostTracker(tmp_path, None).spent == 0.75


def test_answers_of_other_work_are_kept_elsewhere(tmp_path: Path) -> None:
    spend(CostTracker(tmp_path, None), 0.5)
    later = CostTracker(tmp_path, None, tmp_path / "probes" / "more")
    assert later.recall("asked") is None
    spend(later, 0.5)
    later.record()
    assert CostTracker(tmp_path, None).recall("asked") is not None


def test_the_cap_stops_and_says_how_to_go_on(tmp_path: Path) -> None:
    costs = CostTracker(tmp_path, 1.0)
    spend(costs, 0.9)
    costs.record()
    costs.check()
    spend(costs, 0.1)
    costs.record()
    with pytest.raises(CostCapReached, match=rf"cost 1\.00.*cap is 1;.*resume {tmp_path} --cost"):
        costs.check()
    again = CostTracker(tmp_path, 1.0)
    with pytest.raises(CostCapReached):
        again.check()  # before anything is asked


def test_the_last_cap_given_holds(tmp_path: Path) -> None:
    assert CostTracker(tmp_path, 1.0).cap == 1.0
    for cap in (2.0, 5.0):
        note_cap(tmp_path, cap)
    assert CostTracker(tmp_path, 1.0).cap == 5.0
    found = lines(tmp_path / CAPS)
    assert [line["cap"] for line in found] == [2.0, 5.0]
    assert all("T" in line["at"] for line in found)
