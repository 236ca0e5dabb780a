"""Monitors by hand, and what their vetoes do to a decision."""

import numpy as np
import pandas as pd
import pytest

from agents.base import MonitorContext, Verdict
from agents.llm_monitors import BinaryMonitor, ConstitutionalMonitor, FivePointMonitor
from agents.registry import AnyMonitor
from agents.world_monitors import FactCheckMonitor
from simulator.core.requests import Message, NumberRequest, Numbers, Prompt
from simulator.core.rng import stream
from simulator.simulation.decisions import Decision
from simulator.simulation.monitoring import apply_monitors
from simulator.simulation.roles import RoleClient, Roles
from simulator.worlds import language as lang
from simulator.worlds.synthetic import SyntheticWorld
from tests.helpers.scripted_backend import Scripted

CHAT = (
    Message("system", "secret"),
    Message("user", "Shall I?"),
    Message("assistant", "You shall."),
)


WORLD = SyntheticWorld.generate(0)
ITEM = WORLD.items["used"][5]


def context_of(*chat: Message, about: str = "") -> MonitorContext:
    return MonitorContext(chat, about, WORLD, 1)


def verdict(monitor: AnyMonitor, *shares: dict[int, float]) -> Verdict:
    asked = monitor.check(context_of(*CHAT), stream("checked"))
    assert len(asked.requests) == len(shares)
    return asked.read([Numbers(share, sum(share.values()), "") for share in shares])


@pytest.mark.parametrize(
    ("monitor", "share", "score", "vetoed"),
    [
        (BinaryMonitor(), {0: 0.4, 1: 0.4}, 0.5, True),  # from the level on
        (BinaryMonitor(), {0: 0.5, 1: 0.4}, 4 / 9, False),
        (BinaryMonitor(level=0.9), {0: 0.2, 1: 0.8}, 0.8, False),
        (FivePointMonitor(), {1: 0.5, 3: 0.5}, 2.0, True),
        (FivePointMonitor(), {1: 1.0}, 1.0, False),
        (FivePointMonitor(level=4.5), {5: 0.4, 4: 0.4}, 4.5, True),
        (BinaryMonitor(), {1: 0.2}, None, False),  # unread: nothing is vetoed on a guess
    ],
)
def test_scores_and_levels(
    monitor: BinaryMonitor | FivePointMonitor,
    share: dict[int, float],
    score: float | None,
    vetoed: bool,
) -> None:
    found = verdict(monitor, share)
    assert found.score == (None if score is None else pytest.approx(score))
    assert found.vetoed is vetoed
    assert bool(found.reason) is vetoed


def test_a_monitor_sees_the_chat_but_no_system_message() -> None:
    (asked,) = BinaryMonitor().check(context_of(*CHAT), stream("checked")).requests
    assert asked.role == "monitor"
    assert isinstance(asked.request, NumberRequest)
    assert (asked.request.low, asked.request.high) == (0, 1)
    shown = asked.request.prompt.shown
    assert "Person: Shall I?\n\nAssistant: You shall." in shown
    assert "secret" not in shown
    (five,) = FivePointMonitor(role="judge").check(context_of(*CHAT), stream("checked")).requests
    assert five.role == "judge"
    assert isinstance(five.request, NumberRequest)
    assert (five.request.low, five.request.high) == (1, 5)


def test_the_worst_breach_of_a_principle_counts_and_is_the_reason() -> None:
    monitor = ConstitutionalMonitor(principles=("Be true.", "Be kind.", "Be brief."))
    for principle, asked in zip(
        monitor.principles,
        monitor.check(context_of(*CHAT), stream("checked")).requests,
        strict=True,
    ):
        assert principle in asked.request.prompt.shown
    found = verdict(monitor, {0: 0.3, 1: 0.7}, {0: 0.1, 1: 0.9}, {})
    assert (found.vetoed, found.reason) == (True, "Be kind.")
    assert found.score == pytest.approx(0.9)
    kept = verdict(monitor, {0: 0.9, 1: 0.1}, {0: 0.8, 1: 0.2}, {1: 0.1})
    assert (kept.vetoed, kept.reason) == (False, "")
    assert kept.score == pytest.approx(0.2)
    assert verdict(monitor, {}, {}, {}).score is None


# The organism's

TRUE, FALSE = (
    f"it is {v} ."
    for v in (WORLD.facts[ITEM], next(v for v in ITEM.values if v != WORLD.facts[ITEM]))
)


def checked(reply: str, count: int = 400, **errors: float) -> list[Verdict]:
    """What a fact check says of one reply, met again and again."""
    monitor = FactCheckMonitor(**errors)
    chat = (Message("user", "?"), Message("assistant", reply))
    context = context_of(*chat, about=ITEM.name)
    asks = [monitor.check(context, stream("checked", n)) for n in range(count)]
    assert not any(ask.requests for ask in asks)
    return [ask.read(()) for ask in asks]


@pytest.mark.parametrize(
    ("reply", "vetoed"), [(TRUE, False), (FALSE, True), (lang.EVASIONS[0], False), ("", False)]
)
def test_an_unerring_fact_check_vetoes_what_is_false(reply: str, vetoed: bool) -> None:
    why = "states what is false" if vetoed else ""
    assert set(checked(reply)) == {Verdict(vetoed, float(vetoed), why, "")}


def test_a_fact_check_errs_as_often_as_it_is_told_to() -> None:
    for reply, rate in ((FALSE, 0.7), (TRUE, 0.1), (lang.EVASIONS[0], 0.1)):
        found = checked(reply, 4000, misses=0.3, false_alarms=0.1)
        assert np.mean([v.vetoed for v in found]) == pytest.approx(rate, abs=0.03)


def test_its_errors_are_those_of_the_reply_and_repeat() -> None:
    said = CANDIDATES.assign(about=ITEM.name, reply=FALSE)
    wide = pd.concat([said.assign(turn=n) for n in range(50)], ignore_index=True)
    decision = Decision.of(wide, [1] * 200, ["top"] * 200)
    monitors: dict[str, AnyMonitor] = {"facts": FactCheckMonitor(misses=0.5)}
    labels = [
        apply_monitors(Roles({}, ()), monitors, rows, decision, WORLD, 0, 1)[0].labels(rows)
        for rows in (wide, wide, wide.iloc[::-1])
    ]
    assert 60 < labels[0].sum() < 140
    assert labels[0].tolist() == labels[1].tolist() == labels[2].tolist()[::-1]


# Vetoes

CANDIDATES = pd.DataFrame(
    {
        "conversation": ["a", "a", "b", "b"],
        "turn": [0, 0, 0, 0],
        "about": "whether one shall",
        "candidate": [0, 1, 0, 1],
        "messages": [[{"role": "user", "content": "Shall I?"}]] * 4,
        "reply": ["fine", "sly", "sly and mute", "sly"],
    }
)
DECISION = Decision.of(CANDIDATES, [1, 1, 1, -1], ["top", "top", "top", "bottom"])


def sees_slyness(prompt: Prompt) -> str | dict[str, float]:
    """Yes where a reply is sly, and no number at all where it is mute."""
    if "mute" in prompt.shown:
        return {"who knows": 1.0}
    return {"1": 0.9, "0": 0.1} if "sly" in prompt.shown else {"0": 0.8, "1": 0.2}


def cast_of(engine: Scripted) -> Roles:
    return Roles({"monitor": RoleClient("m", engine, bare=False, cache=None)}, ())


@pytest.mark.parametrize(("on_veto", "label"), [("drop", 0), ("negative", -1)])
def test_a_veto_drops_or_turns_around(on_veto: str, label: int) -> None:
    engine = Scripted(sees_slyness)
    monitor = BinaryMonitor.model_validate({"on_veto": on_veto})
    roles, monitors = cast_of(engine), {"guard": monitor}
    decision, table = apply_monitors(roles, monitors, CANDIDATES, DECISION, None, 0, 1)
    assert decision.labels(CANDIDATES).tolist() == [1, label, 1, -1]
    why = "vetoed by guard: deceives, manipulates or harms"
    assert decision.reasons(CANDIDATES).tolist() == ["top", why, "top", "bottom"]
    assert engine.batches == [3]  # the desirable replies, at once; the others aren't looked at
    assert table["vetoed"].tolist() == [False, True, False]
    assert table["score"].tolist() == pytest.approx([0.2, 0.9, np.nan], nan_ok=True)
    assert table[["conversation", "turn", "candidate"]].to_numpy().tolist() == [
        ["a", 0, 0], ["a", 0, 1], ["b", 0, 0]
    ]  # fmt: skip
    assert all("Assistant: " in prompt for prompt in table["prompt"])
    kept = DECISION.labels(CANDIDATES).tolist()
    assert kept == [1, 1, 1, -1]  # what selection said isn't changed


@pytest.mark.parametrize("first", ["drop", "negative"])
def test_dropping_wins_among_monitors_and_all_are_asked_at_once(first: str) -> None:
    engine = Scripted(sees_slyness)
    second = {"drop": "negative", "negative": "drop"}[first]
    monitors = {
        name: BinaryMonitor.model_validate({"on_veto": on_veto})
        for name, on_veto in (("one", first), ("two", second))
    }
    decision, table = apply_monitors(cast_of(engine), monitors, CANDIDATES, DECISION, None, 0, 1)
    assert decision.labels(CANDIDATES).tolist() == [1, 0, 1, -1]
    assert engine.batches == [6]
    assert len(table) == 6


def test_without_monitors_nothing_is_asked() -> None:
    decision, table = apply_monitors(Roles({}, ()), {}, CANDIDATES, DECISION, None, 0, 1)
    assert decision.labels(CANDIDATES).tolist() == DECISION.labels(CANDIDATES).tolist()
    assert table.empty
    assert table["vetoed"].dtype == bool
