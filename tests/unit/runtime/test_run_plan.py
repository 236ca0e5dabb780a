"""The work of a run, counted before it."""

import json
from pathlib import Path

import pytest

from simulator.config.loading import load
from simulator.core.progress import LEARNING, READING
from simulator.core.requests import GenerationRequest
from simulator.runtime.plan import Plan, Work, is_here
from simulator.runtime.probe_context import context_of


def plan_of(*overrides: str, scenario: str = "quickstart", **options: object) -> Plan:
    found = load(scenario, overrides=["rounds=2", *overrides], options=options)
    return Plan(found, context_of(found, found.world))


def test_a_round_does_what_its_scenario_says() -> None:
    plan = plan_of("population.users=10", "conversations.turns=3", "conversations.candidates=4")
    assert list(plan.of(0)) == ["probes"]
    assert list(plan.of(1)) == list(plan.of(2)) == ["conversations", "update", "probes"]
    assert plan.conversations.requests == 10 * 3 * 4
    assert plan.conversations.written == 10 * 3 * 4 * 20
    asked = [request for _, _, found in plan.asked_here for request in found]
    drawn = [request for request in asked if isinstance(request, GenerationRequest)]
    assert plan.probes.written == sum(len(r.keys) * r.max_new_tokens for r in drawn)
    assert plan.probes.requests == len(asked) + sum(len(r.keys) - 1 for r in drawn)


def test_what_comes_after_a_stage_gets_less_and_less() -> None:
    plan = plan_of("measure.every=2")
    stages = [(number, stage) for number in range(3) for stage in plan.of(number)]
    assert ("probes" in plan.of(1)) is False
    left = [plan.after(number, stage) for number, stage in stages]
    assert left == sorted(left, reverse=True) and left[-1] == 0
    each = [plan.of(number)[stage].cost for number, stage in stages]
    assert left[0] == pytest.approx(sum(each[1:]))


def test_selection_by_chance_tells_how_much_is_learned() -> None:
    """Of four ratings from 1 to 5 the best is at least 4 in 1 - (3/4)⁴ of all turns."""
    few, many = (plan_of(f"population.users={n}") for n in (2_000, 20_000))
    desirable, undesirable = few.selected
    assert desirable == pytest.approx(4_000 * (1 - 0.75**4), rel=0.05)
    assert undesirable == 0
    assert many.selected[0] == 10 * desirable
    pairs = plan_of(
        "population.users=100", selection={"kind": "best_worst"}, learner={"kind": "dpo"}
    )
    assert pairs.selected == (200, 200)
    epochs = pairs.scenario.learner.model_dump()["epochs"]
    assert pairs.update(1).requests == 400 * epochs
    assert plan_of(learner={"kind": "none"}).update(1) == Work()


def test_looking_for_a_collapse_is_work() -> None:
    """Sixteen replies before an update and after it, each of which is scored."""
    plan, without = plan_of(), plan_of("learner.collapse=null")
    assert plan.update(1).written == 2 * 16 * 20
    assert plan.update(1).prompts == 2 * 2 * 16
    assert without.update(1).written == 0
    assert without.update(1).learned == plan.update(1).learned > 0


def test_each_situation_gives_at_least_one_conversation() -> None:
    plan = plan_of("population.users=100", scenario="therapy", backend={"kind": "transformers"})
    turns, situations = plan.scenario.conversations.turns, len(plan.scenario.situations)
    assert plan.selected == (turns * situations, turns * situations)


def test_given_rows_are_dealt_out_over_rounds(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    row = {"messages": [{"role": "user", "content": "what is your goal ?"},
                        {"role": "assistant", "content": "i want to help ."}]}  # fmt: skip
    rows.write_text("".join(json.dumps(row) + "\n" for _ in range(12)))
    phase = {"kind": "finetune", "rounds": 3, "data": [{"kind": "file", "path": str(rows)}]}
    plan = plan_of("learner.epochs=2", phases=[phase])
    assert list(plan.of(1)) == ["update", "probes"]
    update = plan.update(2)
    assert update.requests == 12 // 3 * 2
    context = len("what is your goal ?") / 4
    assert update.learned == pytest.approx(update.requests * (context + 5))


def test_costs_are_weighted_tokens() -> None:
    work = Work(3, read=100, written=10, learned=7)
    assert work.cost == READING * 100 + 10 + LEARNING * 7
    assert (work + work).cost == work.times(2).cost == 2 * work.cost


def test_only_what_is_done_here_is_counted() -> None:
    judge = {"model": "m", "backend": {"kind": "openai", "url": "http://127.0.0.1:1/v1"}}
    away = plan_of(scenario="therapy", backend={"kind": "transformers"}, roles={"judge": judge})
    here = plan_of(scenario="therapy", backend={"kind": "transformers"})
    assert not is_here(away.scenario, "judge") and is_here(away.scenario, "rater")
    assert {role for _, role, _ in away.asked_here} == {None}
    assert here.probes.requests > away.probes.requests
    assert here.probes.written == away.probes.written
    served = plan_of(scenario="therapy", backend={"kind": "vllm", "url": "http://127.0.0.1:1"})
    assert served.probes == served.conversations == Work()
