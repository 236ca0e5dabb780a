"""The examples of docs/extending.md, taken from the page and used as a run would use them."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from agents.base import (
    ConversationContext,
    Exchange,
    MonitorContext,
    Persona,
    PolicyContext,
    RatingContext,
    UserState,
    UserTurn,
)
from agents.world_users import BenignUser
from simulator.backends.execute import answer
from simulator.core.examples import Example, FromConversation
from simulator.core.requests import GenerationRequest, Message, Prompt
from simulator.core.rng import stream
from simulator.core.timing import Stopwatch
from simulator.learners.trainer import AdapterLearner
from simulator.models.resolve import resolve
from simulator.probes.base import Context
from simulator.probes.estimates import Rows
from simulator.probes.summary import scores_table
from simulator.simulation.selection import examples_from
from simulator.worlds.base import Use
from simulator.worlds.synthetic import SyntheticWorld
from tests.helpers.scripted_backend import Scripted

PAGE = Path(__file__).parents[3] / "docs" / "extending.md"
EXAMPLE = re.compile(r"^## (\w+)\n(?:(?!^## ).)*?^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = dict(EXAMPLE.findall(PAGE.read_text(encoding="utf-8")))
WORLD = SyntheticWorld.generate(0)
STATE = UserState(Persona("food", 1.0, 1.0), trust=1.0, satisfaction=1.0)
HELLO = Prompt((Message("user", "hello"),))


def defined(name: str) -> dict[str, Any]:
    """Run an example; returns what it defines."""
    found: dict[str, Any] = {}
    exec(compile(EXAMPLES[name], f"{PAGE.name}: {name}", "exec"), found)
    return found


def in_round(number: int) -> ConversationContext:
    return ConversationContext(WORLD, None, (), number)


def policy(tmp_path: Path) -> None:
    asks = defined("Policy")["LatePresser"]()
    for number, pressured in ((4, False), (5, True)):
        context = PolicyContext(in_round(number), STATE, ())
        turn = asks.next_turn(context, stream("turn", number)).read(())
        item = WORLD.item(turn.about)
        assert item in WORLD.items["used"] and item.entity in turn.text
        assert turn.pressured is pressured and (turn.wish in item.values) is pressured
        later = replace(context, history=(Exchange(turn, "it is mild ."),))
        assert asks.next_turn(later, stream("turn")).read(()) is None


def rater(tmp_path: Path) -> None:
    rates, turn = defined("Rater")["TerseRater"](words=3), UserTurn("?")
    for reply, value in (("mild .", 5.0), ("it is mild , i am told .", 1.0)):
        context = RatingContext(in_round(1), STATE, (Message("user", "?"),), turn, reply)
        assert rates.rate(context, stream("rating")).read(()).value == value


def monitor(tmp_path: Path) -> None:
    looks = defined("Monitor")["FlatteryMonitor"](on_veto="negative")
    for reply, vetoed in (("you have wonderful instincts !", True), ("it is mild .", False)):
        chat = (Message("user", "?"), Message("assistant", reply))
        verdict = looks.check(MonitorContext(chat, "", WORLD, 1), stream("monitor")).read(())
        assert verdict.vetoed is vetoed and bool(verdict.reason) is vetoed


def probe(tmp_path: Path) -> None:
    asks, context = defined("Probe")["GreetingProbe"](samples=3), Context(WORLD, 0)
    requests = asks.requests(context)
    engine = Scripted(lambda prompt: "hello to you" if prompt == HELLO else "what ?")
    scores = asks.score(context, requests, answer(engine, requests)).read(())
    rows = Rows.of(scores_table({"greeting": scores}))
    (found,) = asks.estimates(rows, rows)
    assert (found.metric, found.value, found.n) == ("greets", 1.0, 3)
    assert [metric.name for metric in asks.metrics] == [found.metric]


def selection(tmp_path: Path) -> None:
    candidates = pd.DataFrame(
        {
            "conversation": ["a", "a", "b"],
            "turn": 0,
            "candidate": [0, 1, 0],
            "heard": [False, True, True],
            "messages": [[{"role": "user", "content": "hello"}]] * 3,
            "reply": ["x", "y", "z"],
            "stop": "end",
            "thought": "",
            "dropped": 0,
        }
    )
    decision = defined("Selection")["WhatWasHeard"]().decide(candidates, 0)
    assert list(decision.reasons(candidates)) == ["not heard", "heard", "heard"]
    chosen = examples_from(candidates, decision)
    assert [(one.reply, one.desirable) for one in chosen] == [("y", True), ("z", True)]


def learner(tmp_path: Path) -> None:
    found = defined("Learner")
    torch.set_num_threads(1)
    opened = AdapterLearner(found["FocalConfig"](), resolve("organism:0"), Stopwatch())
    item = WORLD.items["used"][0]
    chats = [
        Example((Message("user", f"what is the {item.attribute} of {item.entity} ?"),), reply,
                True, FromConversation("c", n, 0))
        for n, reply in enumerate((f"it is {item.values[0]} .", f"it is {item.values[1]} ."))
    ]  # fmt: skip
    for gamma in (0.0, 2.0):
        objective = found["Focal"](found["FocalConfig"](gamma=gamma), opened._policy, chats)
        (loss,) = objective.losses(objective.units)
        logprob = opened._policy.logprobs(objective.units)
        expected = sum(
            -((1 - math.exp(one)) ** gamma) * one for one in logprob.tolist()
        ) / len(chats)  # fmt: skip
        assert loss.requires_grad and loss.item() == pytest.approx(expected, rel=1e-5)


def backend(tmp_path: Path) -> None:
    engine = defined("Backend")["Parrot"]()
    (said,) = engine.generate([GenerationRequest(HELLO, (("a",), ("b",)), 5)])
    assert [completion.text for completion in said.completions] == ["hello", "hello"]
    engine.close()


def world(tmp_path: Path) -> None:
    polite = defined("World")["PoliteWorld"].generate(0)
    assert polite.facts == WORLD.facts
    item = polite.items["used"][0]
    uses: dict[Use, str] = {"user": "please , ", "probe": ""}
    for use, words in uses.items():
        asked = WORLD.question(item, use, stream("question"))
        assert polite.question(item, use, stream("question")) == words + asked
    asks = BenignUser(pressure=0.0)
    context = PolicyContext(ConversationContext(polite, None, (), 1), STATE, ())
    turn = asks.next_turn(context, stream("turn")).read(())
    assert turn is not None and turn.text.startswith("please , ")


USES: dict[str, Callable[[Path], None]] = {
    "Policy": policy, "Rater": rater, "Monitor": monitor, "Probe": probe, "Selection": selection,
    "Learner": learner, "Backend": backend, "World": world,
}  # fmt: skip


def test_every_extension_point_has_an_example() -> None:
    assert EXAMPLES.keys() == USES.keys()


@pytest.mark.parametrize("name", USES)
def test_examples_do_what_the_page_says(name: str, tmp_path: Path) -> None:
    USES[name](tmp_path)


def test_the_unions_of_the_page_are_where_it_says() -> None:
    rows = re.findall(r"`(Any\w+)` in `([\w/.]+)`", PAGE.read_text(encoding="utf-8"))
    assert len(rows) == 7
    root = PAGE.parents[1]
    for union, file in rows:
        assert f"\n{union} = " in (root / file).read_text(encoding="utf-8")
