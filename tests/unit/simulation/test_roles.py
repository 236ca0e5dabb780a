"""Who plays which role: batches, shared engines, the bare base, and what was asked before."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from simulator.backends.execute import answer
from simulator.backends.factory import open_backend
from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.core.adapters import Adapter
from simulator.core.asks import Ask, ask, joined, known
from simulator.core.errors import BackendError, ScenarioError
from simulator.core.requests import (
    Generation,
    GenerationRequest,
    Message,
    NextTokenRequest,
    NumberRequest,
    Numbers,
    Prompt,
    Request,
)
from simulator.core.timing import Stopwatch
from simulator.models.reference import ModelRef
from simulator.runtime.roles import JUDGEMENTS, open_roles
from simulator.simulation.answer_cache import AnswerCache
from simulator.simulation.roles import RoleClient, Roles
from simulator.store.run import Run
from tests.contract.engines import lora
from tests.helpers import tiny_models
from tests.helpers.scripted_backend import Scripted


def chat(text: str) -> Prompt:
    return Prompt((Message("user", text),))


def number(text: str) -> NumberRequest:
    return NumberRequest(chat(text), 1, 5)


def said(text: str) -> GenerationRequest:
    return GenerationRequest(chat(text), (("k", text),), 8)


def echo(prompt: Prompt) -> str | dict[str, float]:
    """Answers a number with the first digit of the message, and text with the message."""
    text = prompt.messages[-1].content
    return {text[0]: 1.0} if text[0].isdigit() else text


def reading(role: str, request: Request) -> Ask[object]:
    return ask(role, request, lambda found: found)


def test_joined_asks_are_read_in_order_each_with_its_own_answers() -> None:
    pair = joined([reading("a", number("1")), reading("b", number("2"))]).then(tuple)
    none: Ask[tuple[object, ...]] = known(("none",))
    single = joined([reading("a", number("3"))]).then(tuple)
    whole = joined([none, pair, single])
    assert [r.request.prompt.messages[0].content for r in whole.requests] == ["1", "2", "3"]
    assert whole.read([1.0, 2.0, 3.0]) == [("none",), (1.0, 2.0), (3.0,)]
    assert joined([]).read([]) == []


def test_each_role_is_asked_once_for_all() -> None:
    user, rater = Scripted(echo), Scripted(echo)
    roles = Roles(
        {
            "user": RoleClient("u", user, bare=False, cache=None),
            "rater": RoleClient("r", rater, bare=False, cache=None),
        },
        (),
    )
    asks = [reading(role, number(str(n))) for n in range(1, 5) for role in ("user", "rater")]
    found = roles.ask([*asks, reading("user", said("hello"))])
    values = [dict(f.shares) for f in found[:8] if isinstance(f, Numbers)]
    assert values == [{n: 1.0} for n in range(1, 5) for _ in range(2)]
    assert isinstance(found[8], Generation)
    assert found[8].completions[0].text == "hello"
    assert user.batches == [1, 4]  # texts as one batch, numbers as another
    assert rater.batches == [4]
    assert roles.snapshot()["user"] == {"requests": 5, "tokens": 1}
    assert roles.ask([]) == []
    assert roles.ask([known(3)]) == [3]


def test_a_bare_role_is_answered_without_the_adapter() -> None:
    engine = Scripted(echo)
    engine.load(Adapter("r0001-x", Path("x")))
    client = RoleClient("base", engine, bare=True, cache=None)
    assert client.answer([said("a")])
    assert engine.served == [None]
    assert engine.adapter is not None
    answer(engine, [said("b")])
    assert engine.served == [None, "r0001-x"]


def test_what_was_judged_before_is_not_asked_again(tmp_path: Path) -> None:
    engine, cache = Scripted(echo), AnswerCache(tmp_path / "j.sqlite")
    client = RoleClient("judge one", engine, bare=False, cache=cache)
    asked = [number("1 a"), number("2 b"), number("1 a")]
    first = client.answer(asked)
    assert [dict(f.shares) for f in first if isinstance(f, Numbers)] == [{1: 1}, {2: 1}, {1: 1}]
    assert engine.batches == [2]  # each thing once
    again = RoleClient("judge one", engine, bare=False, cache=AnswerCache(tmp_path / "j.sqlite"))
    assert again.answer(asked) == first
    assert engine.batches == [2]
    again.answer([number("2 b"), number("3 c")])
    assert engine.batches == [2, 1]  # only what is new
    other = RoleClient("judge two", engine, bare=False, cache=cache)
    other.answer(asked)
    assert engine.batches == [2, 1, 2]  # another judge may think otherwise
    client.answer([NumberRequest(chat("1 a"), 0, 5)])
    assert engine.batches[-1] == 1  # another scale is another question
    client.answer([NumberRequest(chat("1 a"), 0, 5, ("NONE",))])
    assert engine.batches[-1] == 1  # and so is one that a word may answer
    with sqlite3.connect(tmp_path / "j.sqlite") as file:
        rows = file.execute("SELECT judge, asked, answer FROM judgements").fetchall()
    assert len(rows) == 7
    assert ("judge one", "user: 3 c", json.dumps([{"3": 1.0}, 1.0, "", {}])) in rows


def test_the_likeliest_reply_is_not_asked_for_again(tmp_path: Path) -> None:
    engine = Scripted(echo)
    client = RoleClient("judge", engine, bare=False, cache=AnswerCache(tmp_path / "j.sqlite"))
    asked = [GenerationRequest(chat("a"), (("judge",),), 9, temperature=0.0)]
    assert client.answer(asked) == client.answer(asked)
    assert engine.batches == [1]


def test_drawn_texts_pass_through_the_cache(tmp_path: Path) -> None:
    engine = Scripted(echo)
    client = RoleClient("judge", engine, bare=False, cache=AnswerCache(tmp_path / "j.sqlite"))
    for _ in range(2):
        client.answer([said("a"), number("1")])
    assert engine.batches == [1, 1, 1]


# Hiring, with real engines


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_models.build_rambler(tmp_path_factory.mktemp("tiny"), numbers=0.7)


def scenario_of(tiny: str, roles: dict[str, Any]) -> Scenario:
    options = {"model": tiny, "roles": roles, "backend": {"kind": "transformers"}}
    return load("therapy", options=options)


def hired(scenario: Scenario, path: Path, tiny: str) -> Roles:
    stopwatch = Stopwatch()
    run = Run.create(path, scenario.model_dump(mode="json"), {})
    assistant = open_backend(scenario.backend, ModelRef(tiny), stopwatch)
    return open_roles(scenario, run, assistant, stopwatch)


def test_equal_models_share_an_engine_and_the_rest_is_played_by_the_base(
    tiny: str, tmp_path: Path
) -> None:
    backend = {"kind": "transformers", "threads": 1}
    model = {"model": tiny, "backend": backend}
    configs = {
        "user": model,
        "rater": model,
        "judge": {**model, "backend": {**backend, "dtype": "float32"}},
    }
    roles = hired(scenario_of(tiny, configs), tmp_path / "run", tiny)
    clients = roles.clients
    assert sorted(clients) == ["judge", "rater", "user"]  # nobody asks a monitor
    assert clients["user"].backend is clients["rater"].backend
    assert clients["judge"].backend is not clients["user"].backend
    assert not any(client.bare for client in clients.values())
    assert (clients["judge"].cache is None, clients["rater"].cache is None) == (False, True)
    bare = hired(scenario_of(tiny, {}), tmp_path / "bare", tiny)
    assert all(client.bare for client in bare.clients.values())
    assert len({id(client.backend) for client in bare.clients.values()}) == 1
    bare.clients["judge"].answer([number("how much?")])
    assert (tmp_path / "bare" / JUDGEMENTS).is_file()


def test_the_assistant_is_asked_as_it_is_now(tiny: str, tmp_path: Path) -> None:
    """With the adapter that is served when it is asked; nothing of it is remembered."""
    scenario = load(
        "therapy",
        options={"model": tiny, "backend": {"kind": "transformers"}},
        overrides=["measure.probes.judged.role=assistant"],
    )
    roles = hired(scenario, tmp_path / "run", tiny)
    client = roles.clients["assistant"]
    asked = [NextTokenRequest(chat("how much?"), ("1", "2"))]
    base = client.answer(asked)
    client.backend.load(lora(tiny, tmp_path / "adapter")[0])
    assert client.answer(asked) == answer(client.backend, asked) != base
    assert "assistant" not in roles.snapshot()


def test_a_model_of_its_own_for_the_assistant_s_role_is_refused(tiny: str) -> None:
    with pytest.raises(ScenarioError, match=r"roles\.assistant: invalid role 'assistant'; set"):
        scenario_of(tiny, {"assistant": {"model": tiny}})


def test_a_model_that_is_not_there_is_named(tiny: str, tmp_path: Path) -> None:
    roles = {"rater": {"model": "/nowhere", "backend": {"kind": "transformers"}}}
    with pytest.raises(BackendError, match="'/nowhere' can't be loaded"):
        hired(scenario_of(tiny, roles), tmp_path / "run", tiny)
