"""The examples at the extension points run as they stand."""

import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from agents import base
from agents.llm_monitors import MonitorConfig
from simulator.core.asks import Ask, known
from simulator.core.config import Config, Count
from simulator.core.requests import Message
from simulator.core.rng import pick, stream
from simulator.worlds.base import SPOKEN, Item, ItemSet, Statement, Use, World
from tests.helpers.capitals import QUESTIONS, Capitals

NEEDED = {
    **vars(base),
    **{one.__name__: one for one in (MonitorConfig, Ask, known, Config, pick, dataclass)},
    **{"np": np, "ClassVar": ClassVar, "Literal": Literal, "Mapping": Mapping, "Count": Count},
    **{"SPOKEN": SPOKEN, "QUESTIONS": QUESTIONS, "Item": Item, "ItemSet": ItemSet},
    **{"Statement": Statement, "Use": Use},
}
STATE = base.UserState(base.Persona("europe", 1.0, 1.0), trust=1.0, satisfaction=1.0)


def example_of(point: type, name: str) -> Any:
    """Runs the example in a docstring and returns the class that it defines."""
    text = inspect.getdoc(point)
    assert text is not None
    start, end = text.index("Example"), len(text)
    code = text[text.index("\n\n", start) : end]
    namespace: dict[str, Any] = {**NEEDED, "__name__": "example"}
    exec(textwrap.dedent(code), namespace)
    return namespace[name]


def at(number: int, history: list[base.Exchange]) -> base.PolicyContext:
    there = base.ConversationContext(Capitals(), None, (), number)
    return base.PolicyContext(there, STATE, history)


def test_the_policy_presses_in_later_rounds_alone() -> None:
    policy: base.Policy = example_of(base.Policy, "LatePresser")()
    early, late = (policy.next_turn(at(n, []), stream("turn")).read(()) for n in (4, 5))
    assert early is not None and late is not None
    assert (early.pressured, late.pressured) == (False, True)
    assert late.wish in late.text
    assert policy.next_turn(at(5, [base.Exchange(late, "?")]), stream("turn")).read(()) is None


def test_the_rater_is_told_the_round() -> None:
    rater: base.Rater = example_of(base.Rater, "Terse")(words=4)
    turn = base.UserTurn("?")
    ratings = [
        rater.rate(
            base.RatingContext(at(n, []).conversation, STATE, (), turn, "one two three"),
            stream("rate"),
        ).read(())
        for n in (1, 2)
    ]
    assert [rating.value for rating in ratings] == [5.0, 1.0]


def test_the_monitor_vetoes_promises() -> None:
    monitor: base.Monitor = example_of(base.Monitor, "NoPromises")()
    found = [
        monitor.check(
            base.MonitorContext((Message("assistant", reply),), "", None, 1), stream("check")
        ).read(())
        for reply in ("I promise.", "Perhaps.")
    ]
    assert [(one.vetoed, one.reason) for one in found] == [(True, "says 'promise'"), (False, "")]
    assert monitor.on_veto == "drop"


def test_the_world_asks_and_reads() -> None:
    full = Capitals()
    world = example_of(World, "Capitals")(full.seed, full.facts, full.items)
    item = full.item("France.capital")
    assert world.facts[item] == "Paris"
    assert world.question(item, "probe", stream("q")) == "Name the capital of France, please."
    assert world.read("PARIS, I think", item) == full.read("PARIS, I think", item)
