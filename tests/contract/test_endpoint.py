"""Endpoints of others: what they refuse, forget or garble, from a real server on loopback."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.backends.config import OpenAIConfig
from simulator.backends.execute import answer
from simulator.backends.factory import open_backend
from simulator.core.errors import BackendError, EndpointWarning
from simulator.core.requests import (
    GenerationRequest,
    Message,
    NumberRequest,
    Numbers,
    Prompt,
    TopTokensRequest,
)
from simulator.core.timing import Stopwatch
from simulator.models.reference import ModelRef
from tests.helpers.scripted_endpoint import (
    CHAT,
    HANGS_UP,
    Book,
    Scripted,
    opened,
    reply,
    scripted,
    with_top,
)

LONG = Prompt((CHAT.messages[0], *(Message(role, f"{role} {n}") for n in range(4)
               for role in ("user", "assistant")), Message("user", "and now ?")))  # fmt: skip


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as found:
        yield found


def ask(prompt: Prompt = CHAT, samples: int = 1) -> list[GenerationRequest]:
    keys = tuple(("endpoint", n) for n in range(samples))
    return [GenerationRequest(prompt, keys, 16, 0.5)]


def test_a_request_says_all_that_matters(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret")
    server.say(200, reply(" you are . "))
    book = Book()
    backend = opened(server, book, key_variable="JUDGE_KEY", input_price=3.0, output_price=5.0)
    (found,) = backend.generate(ask(samples=2))
    assert found.completions[0] == ("you are .", 4, "end", "")
    assert (found.prompt, found.dropped) == (CHAT.shown, 0)
    first, second = sorted(server.asked, key=lambda body: int(body["seed"]))
    assert first["messages"] == [message._asdict() for message in CHAT.messages]
    assert (first["model"], first["max_tokens"], first["temperature"]) == ("judge", 16, 0.5)
    assert first["seed"] != second["seed"]
    assert server.keys == {"Bearer secret"}
    assert [spent for spent, _ in book.entries] == [(10, 4, False)] * 2
    assert sum(cost for _, cost in book.entries) == pytest.approx((20 * 3 + 8 * 5) / 1e6)


def test_what_passes_is_asked_again(server: Scripted) -> None:
    for status in (429, 500, 503, 429):
        server.say(status, {"error": {"message": "busy"}})
    server.say(200, reply("yes", "length"))
    (found,) = opened(server).generate(ask())
    assert found.completions[0][:3] == ("yes", 4, "length")
    assert len(server.asked) == 5
    assert len({json.dumps(body) for body in server.asked}) == 1  # the very same request


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (429, {"error": {"message": "quota spent"}}, "answered with error 429: quota spent"),
        (500, "<html>oh no</html>", "answered with error 500: .*oh no"),
        (401, {"error": {"message": "bad key"}}, "answered with error 401: bad key"),
        (404, {"detail": "Not Found"}, "answered with error 404: .*Not Found"),
        (
            400,
            {"error": {"message": "no such parameter"}},
            "answered with error 400: no such parameter",
        ),
        (200, "<html>please log in</html>", "doesn't follow OpenAI's API"),
        (200, '{"choices": [', "doesn't follow OpenAI's API"),
        (200, {"error": "overloaded"}, "answered with error 503: overloaded"),
        (200, {"choices": []}, "doesn't follow OpenAI's API"),
        (200, {"choices": [{"index": 0}]}, "doesn't follow OpenAI's API"),
    ],
)
def test_what_does_not_pass_is_said(server: Scripted, status: int, body: Any, said: str) -> None:
    server.say(status, body)
    with pytest.raises(BackendError, match=rf"127\.0\.0\.1.*{said}"):
        opened(server, retries=1).generate(ask())
    passing = status in (429, 500) or "error 503" in said
    assert len(server.asked) == (2 if passing else 1)


def test_a_long_page_is_not_repeated_whole(server: Scripted) -> None:
    server.say(502, f"<html>{'sorry ' * 10_000}</html>")
    with pytest.raises(BackendError) as caught:
        opened(server, retries=0).generate(ask())
    assert len(str(caught.value)) < 700


def test_the_oldest_turns_go_when_the_endpoint_has_no_room(server: Scripted) -> None:
    server.say(200, reply("yes"))
    server.room = 60
    long, short = opened(server).generate([*ask(LONG), *ask()])
    assert (long.dropped, short.dropped) == (4, 0)
    kept = LONG._replace(messages=(LONG.messages[0], *LONG.messages[5:]))
    assert long.prompt == kept.shown
    last = LONG.messages[-1].content
    asked = [b["messages"] for b in server.asked if b["messages"][-1]["content"] == last]
    assert [len(messages) for messages in asked] == [10, 8, 6]
    assert all(messages[0]["role"] == "system" for messages in asked)
    assert all(messages[1]["role"] == "user" for messages in asked)
    server.room = 5
    with pytest.raises(BackendError, match="a prompt is too long"):
        opened(server).generate(ask(LONG))


def test_thoughts_come_in_three_ways(server: Scripted) -> None:
    server.say(200, reply("<think>hm</think> yes"))
    server.say(200, reply("yes", reasoning="hm"))
    server.say(200, reply("yes", reasoning_content="hm"))
    backend = opened(server)
    for _ in range(3):
        (found,) = backend.generate(ask())
        assert (found.completions[0].text, found.completions[0].thought) == ("yes", "hm")
    server.script.clear()
    server.say(200, reply(None, "length", reasoning="hm"))  # unfinished
    (found,) = backend.generate(ask())
    assert found.completions[0][0:4:3] == ("", "hm")


def test_numbers_are_read_off_what_there_is(server: Scripted) -> None:
    server.say(200, with_top({"8": -0.2, " 8": -3.0, "7": -2.5, "eight": -4.0}))
    (found,) = answer(opened(server), [NumberRequest(CHAT, 0, 9)])
    assert set(found.shares) == {7, 8} and 0.9 < found.mass < 1  # type: ignore[union-attr]
    server.script.clear()
    server.say(200, with_top({"85": -0.2, "8": -2.0, "100": -3.0}))
    (found,) = answer(opened(server), [NumberRequest(CHAT, 0, 100)])
    assert set(found.shares) == {8, 85, 100}  # type: ignore[union-attr]
    server.script.clear()
    server.say(200, with_top({"8": -0.1, "9": -3.0}))  # is it 8, or how 85 begins?
    server.say(200, reply("85 out of 100"))
    (found,) = answer(opened(server), [NumberRequest(CHAT, 0, 100)])
    assert found == Numbers({85: 1.0}, 1.0, "85 out of 100")
    assert server.asked[-1]["temperature"] == 0


def test_an_endpoint_without_probabilities(server: Scripted) -> None:
    server.say(200, reply("Rating: 7"))
    with pytest.warns(EndpointWarning, match=r"texts of replies.*set backend\.logprobs: false"):
        assert opened(server).top_tokens([TopTokensRequest(CHAT)]) == [{}]
    (found,) = answer(opened(server, logprobs=False), [NumberRequest(CHAT, 0, 9)])
    assert found == Numbers({7: 1.0}, 1.0, "Rating: 7")
    assert "logprobs" not in server.asked[-1]


def test_an_endpoint_that_hangs_or_is_gone(server: Scripted) -> None:
    server.say(200, reply("late"))
    server.delay = 3.0
    with pytest.raises(BackendError, match="no answer within 1 s"):
        opened(server, deadline=1.0, retries=0).generate(ask())
    gone = OpenAIConfig(url="http://127.0.0.1:9/v1", retries=0)
    with (
        contextlib.closing(open_backend(gone, ModelRef("judge"), Stopwatch())) as backend,
        pytest.raises(BackendError, match=r"127\.0\.0\.1:9/v1: the server can't be reached"),
    ):
        backend.generate(ask())


def test_an_endpoint_that_hangs_up_is_gone_and_not_late(server: Scripted) -> None:
    server.say(HANGS_UP, "")
    with pytest.raises(BackendError, match="the server can't be reached: Server disconnected"):
        opened(server, retries=0).generate(ask())
    server.say(200, reply("back"))
    (found,) = opened(server, retries=1).generate(ask())
    assert found.completions[0].text == "back"


def test_no_more_are_asked_at_once_than_allowed(server: Scripted) -> None:
    server.say(200, reply("yes"))
    server.delay = 0.05
    (found,) = opened(server, concurrency=3).generate(ask(samples=24))
    assert len(found.completions) == 24
    assert server.most == 3
