"""Endpoints that fail, hang, redirect or refuse the key: soon said, with what to do about it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.backends.execute import answer
from simulator.backends.http_client import Endpoint
from simulator.core.errors import BackendError, EndpointWarning
from simulator.core.requests import GenerationRequest, Message, NumberRequest, Prompt
from tests.helpers.scripted_endpoint import CHAT, NO_HTTP, Scripted, opened, reply, scripted


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as found:
        yield found


def ask(count: int = 1, temperature: float = 0.5) -> list[GenerationRequest]:
    chats = [Prompt((Message("user", f"am i good ? {n}"),)) for n in range(count)]
    return [GenerationRequest(c, (("failing", n),), 8, temperature) for n, c in enumerate(chats)]


def said(server: Scripted, **settings: Any) -> str:
    (found,) = opened(server, **{"retries": 1, **settings}).generate(ask())
    return found.completions[0].text


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, {"error": {"message": "bad key"}}), (500, "oh no"), (200, "<html>")],
)
def test_what_would_fail_alike_is_not_asked(server: Scripted, status: int, body: Any) -> None:
    server.say(status, body)
    server.delay = 0.02
    with pytest.raises(BackendError):
        opened(server, retries=0, concurrency=4).generate(ask(100))
    assert len(server.asked) <= 8


def test_completions_that_would_fail_alike_are_not_asked(server: Scripted) -> None:
    server.say(500, "oh no")
    server.delay = 0.02
    body = {"model": "m", "prompt": [1], "extra_body": {"messages": []}}
    endpoint = Endpoint(
        f"http://127.0.0.1:{server.server_port}/v1", "none", concurrency=4, deadline=5.0, retries=0
    )
    found = endpoint.complete([body] * 100, lambda n, answer: answer)
    assert {str(error) for error in found} == {
        f"{endpoint.url}: the server answered with error 500: oh no"
    }
    assert len(server.asked) <= 8
    endpoint.close()


def test_a_deadline_holds_against_blanks(server: Scripted) -> None:
    server.say(200, reply("yes"))
    server.blanks = 3
    assert said(server) == "yes"
    server.blanks = 100
    with pytest.raises(BackendError, match="no answer within"):
        said(server, deadline=0.6, retries=0)


def test_a_missed_deadline_is_waited_for_once_more(server: Scripted) -> None:
    """However many retries other failures have: a server that hangs would take hours to give up."""
    server.say(200, reply("yes"))
    server.blanks = 20
    with pytest.raises(BackendError, match="no answer within"):
        said(server, deadline=0.3, retries=6)
    assert len(server.asked) == 2


def test_an_answer_that_was_late_once_is_heard(server: Scripted) -> None:
    server.say(200, reply("yes"))
    server.delay = 0.6
    server.refuses = lambda asked: setattr(server, "delay", 0.0)  # after the first
    assert said(server, deadline=0.3, retries=6) == "yes"


def test_what_is_not_http_is_asked_for_again(server: Scripted) -> None:
    server.say(NO_HTTP, "\0 nothing that is known\r\n\r\n")
    server.say(200, reply("yes"))
    assert said(server) == "yes"
    server.script.clear()
    server.say(NO_HTTP, "no\r\n\r\n")
    with pytest.raises(BackendError, match=r"can't be reached: .*Bad status line") as caught:
        opened(server, retries=0).generate(ask())
    assert "\n" not in str(caught.value)


def test_a_redirect_is_named(server: Scripted) -> None:
    server.say(200, reply("never said"))
    server.elsewhere = f"http://localhost:{server.server_port}/v1/chat/completions"
    with pytest.raises(BackendError, match=r"redirected to http://localhost:\d+, so set backend."):
        said(server)


def test_an_error_beside_an_empty_choice_is_retried(server: Scripted) -> None:
    server.say(200, {**reply(None), "error": {"message": "upstream is gone", "code": 502}})
    server.say(200, {**reply("yes"), "error": {}})
    assert said(server) == "yes"
    server.script.clear()
    server.say(200, {**reply("no"), "error": {"message": "a warning"}})
    assert said(server) == "no"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"success": False, "errorMsg": "spent"}, 'no choices: {"success": false, "errorMsg": "s'),
        ({"error": "Unexpected endpoint or method. (POST /chat/completions)"},
         "error 404: .*check the model's name, and whether backend.url ends with /v1"),
        ({"error": {"message": "no such key", "code": 401}}, "environment variable OPENAI_API_KEY"),
    ],
)  # fmt: skip
def test_what_to_look_at_is_said(server: Scripted, body: Any, told: str) -> None:
    server.say(200, body)
    with pytest.raises(BackendError, match=told):
        said(server)
    assert len(server.asked) == 1


def test_an_error_without_words_has_its_name(server: Scripted) -> None:
    server.say(403, "")
    with pytest.raises(BackendError, match="error 403: Forbidden"):
        said(server)


def test_a_byte_order_mark_is_no_part_of_an_answer(server: Scripted) -> None:
    server.say(200, "\ufeff" + json.dumps(reply("yes")))
    assert said(server) == "yes"


# Keys


def test_blanks_around_a_key_are_left_out(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " sk-secret\n")
    server.say(200, reply("yes"))
    said(server)
    assert server.keys == {"Bearer sk-secret"}


@pytest.mark.parametrize("key", ["sk-\u2019secret", "sk-\nsecret"])
def test_what_cannot_be_a_key_is_refused(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("JUDGE_KEY", key)
    with pytest.raises(BackendError, match="JUDGE_KEY: an API key has only") as caught:
        said(server, key_variable="JUDGE_KEY")
    assert "secret" not in str(caught.value)


def test_a_key_that_is_repeated_is_not_shown(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.say(401, {"error": {"message": "Incorrect API key: sk-secret"}})
    with pytest.raises(BackendError, match=re.escape("Incorrect API key: ***")):
        said(server)


# Parameters


def refusing(server: Scripted, name: str, least: float, message: str) -> None:
    refusal = (400, {"error": {"message": message, "param": name}})
    server.refuses = lambda asked: refusal if asked[name] < least else None
    server.say(200, reply("7"))


@pytest.mark.parametrize(
    "message",
    ["Invalid 'max_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead",
     "max_tokens must be at least 16", "Input should be greater than or equal to 16"],
)  # fmt: skip
def test_replies_have_the_least_limit_that_is_taken(server: Scripted, message: str) -> None:
    refusing(server, "max_tokens", 16, message)
    backend = opened(server)
    with pytest.warns(EndpointWarning, match="lets replies have 16 tokens at least"):
        backend.generate(ask(3))
    assert server.asked[-1]["max_tokens"] == 16
    before = len(server.asked)
    backend.generate(ask())
    assert len(server.asked) == before + 1


@pytest.mark.parametrize(
    "message",
    ["`temperature` must be strictly positive", "temperature must be in (0.0, 1.0]",
     "temperature: Input should be greater than 0"],
)  # fmt: skip
def test_a_temperature_of_zero_is_nearly_that(server: Scripted, message: str) -> None:
    refusing(server, "temperature", 0.001, message)
    backend = opened(server, logprobs=False)
    with pytest.warns(EndpointWarning, match=r"at temperature 0.01 in place of 0"):
        answer(backend, [NumberRequest(CHAT, 0, 9)] * 2)
    backend.generate(ask())
    assert [asked["temperature"] for asked in server.asked[-2:]] == [0.01, 0.5]
