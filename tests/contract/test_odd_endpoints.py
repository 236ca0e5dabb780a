"""Endpoints that speak OpenAI's API oddly, from a real server: nothing is lost, and all is said."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.backends.execute import answer
from simulator.backends.ledger import Spent
from simulator.core.errors import BackendError, EndpointWarning
from simulator.core.requests import GenerationRequest, Message, NumberRequest, Numbers, Prompt
from tests.helpers.scripted_endpoint import CHAT, Book, Scripted, opened, reply, scripted, with_top

NUMBER = NumberRequest(CHAT, 0, 9)
SEVEN = Numbers({7: 1.0}, 1.0, "7")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as found:
        yield found


def ask(*texts: str) -> list[GenerationRequest]:
    chats = [Prompt((Message("user", text),)) for text in texts or ("am i good ?",)]
    return [GenerationRequest(chat, (("odd", n),), 16, 0.5) for n, chat in enumerate(chats)]


def refused(message: str, status: int = 400, **more: Any) -> tuple[int, Any]:
    return status, {"error": {"message": message, "type": "invalid_request_error", **more}}


# Parameters

REFUSALS: list[tuple[str, Any, tuple[int, Any], str]] = [
    ("max_tokens", None, refused("Unsupported parameter: 'max_tokens' is not supported with this "
     "model. Use 'max_completion_tokens' instead.", param="max_tokens",
     code="unsupported_parameter"), "backend.token_limit: max_completion_tokens"),
    ("max_tokens", None, (422, {"detail": [{"type": "extra_forbidden", "loc": ["body",
     "max_tokens"], "msg": "Extra inputs are not permitted"}]}), "backend.token_limit"),
    ("temperature", 1.0, refused("Only the default (1) value is supported", param="temperature",
     code="unsupported_value"), r"backend.omit: \[temperature\]"),
    ("temperature", 1.0, refused("temperature must be 1 for this model"), "backend.omit"),
    ("seed", None, (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
     "msg": "Extra inputs are not permitted"}]}), r"backend.omit: \[seed\]"),
    ("seed", None, refused("Unknown name 'seed': cannot find field"), "backend.omit"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "allowed", "refusal", "said"), REFUSALS)
def test_a_refused_parameter_is_left_out_or_renamed_and_that_is_said(
    server: Scripted, name: str, allowed: Any, refusal: tuple[int, Any], said: str
) -> None:
    server.refuses = lambda asked: refusal if asked.get(name, allowed) != allowed else None
    server.say(200, reply("yes"))
    backend = opened(server)
    with pytest.warns(EndpointWarning, match=said) as told:
        found = backend.generate(ask("a", "b", "c"))
    assert [one.completions[0].text for one in found] == ["yes"] * 3
    assert len(told) == 1
    before = len(server.asked)
    backend.generate(ask("d"))
    assert len(server.asked) == before + 1  # it is remembered
    assert (name == "max_tokens") == ("max_completion_tokens" in server.asked[-1])


def test_several_refusals_of_one_endpoint_are_all_learned(server: Scripted) -> None:
    def refuses(asked: dict[str, Any]) -> tuple[int, Any] | None:
        for name in ("max_tokens", "temperature", "seed"):
            if name in asked:
                return refused(f"Unsupported parameter: '{name}'", param=name)
        return None

    server.refuses = refuses
    server.say(200, reply("yes"))
    with pytest.warns(EndpointWarning) as told:
        opened(server, concurrency=1).generate(ask("a", "b"))
    assert len(told) == 3
    assert set(server.asked[-1]) == {"model", "messages", "max_completion_tokens"}


@pytest.mark.parametrize(
    ("message", "most"),
    [("top_logprobs must be <= 5", 5), ("Input should be less than or equal to 5", 5),
     ("Invalid value for 'top_logprobs': must be between 0 and 5", 5),
     ("top_logprobs: 20 is more than the 8 allowed", 8)],
)  # fmt: skip
def test_fewer_likeliest_tokens_are_asked_for(server: Scripted, message: str, most: int) -> None:
    refusal = refused(message, param="top_logprobs")
    server.refuses = lambda asked: refusal if asked.get("top_logprobs", 0) > most else None
    server.say(200, with_top({"7": math.log(0.9)}, "7"))
    with pytest.warns(EndpointWarning, match=f"backend.top_logprobs: {most}"):
        (found,) = answer(opened(server), [NUMBER])
    assert found.shares == {7: pytest.approx(0.9)}  # type: ignore[union-attr]
    assert server.asked[-1]["top_logprobs"] == most


@pytest.mark.parametrize("status", [400, 403])
def test_refused_log_probabilities_are_replaced_by_texts(server: Scripted, status: int) -> None:
    refusal = refused("You are not allowed to request logprobs from this model.", status)
    server.refuses = lambda asked: refusal if "logprobs" in asked else None
    server.say(200, reply("7"))
    backend = opened(server)
    with pytest.warns(EndpointWarning, match="set backend.logprobs: false"):
        assert answer(backend, [NUMBER]) == [SEVEN]
    before = len(server.asked)
    assert answer(backend, [NUMBER]) == [SEVEN]
    assert len(server.asked) == before + 1


def test_settings_say_it_beforehand(server: Scripted) -> None:
    server.say(200, reply("7"))
    opened(
        server,
        token_limit="max_completion_tokens",
        thought_tokens=2000,
        omit=("seed", "temperature"),
        extra_body={"reasoning_effort": "low"},
    ).generate(ask())
    (asked,) = server.asked
    del asked["messages"], asked["model"]
    assert asked == {"max_completion_tokens": 2016, "reasoning_effort": "low"}
    opened(server, top_logprobs=5, logprobs=True).top_tokens([])
    with pytest.warns(EndpointWarning):
        answer(opened(server, top_logprobs=5), [NUMBER])
    assert server.asked[1]["top_logprobs"] == 5


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Could not finish the message because max_tokens or model output limit was reached.",
         "backend.thought_tokens"),
        ("max_tokens is too large: 16. This model supports at most 8 completion tokens",
         "error 400: max_tokens is too large"),
        ("no such parameter", "error 400: no such parameter"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_said(server: Scripted, message: str, said: str) -> None:
    server.say(*refused(message))
    with pytest.raises(BackendError, match=said):
        opened(server).generate(ask())
    assert len(server.asked) == 1


def test_a_model_that_thinks_its_limit_away_is_named(server: Scripted) -> None:
    server.say(200, reply("", "length"))
    backend = opened(server)
    with pytest.warns(EndpointWarning, match="backend.thought_tokens") as told:
        backend.generate(ask("a"))
        backend.generate(ask("b"))
    assert len(told) == 1


# Too long

TOO_LONG = [
    (400, {"error": {"code": 400, "message": "900 tokens exceed the context size", "n_ctx": 512}}),
    (400, [{"error": {"message": "The input token count (9) exceeds the maximum", "code": 400}}]),
    (413, {"error": {"message": "too large", "type": "tokens", "code": "request_too_large"}}),
    (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 512", "error_type": "x"}),
    (400, {"error": {"type": "invalid_request_error", "message": "prompt is too long: 900 > 512"}}),
]


@pytest.mark.parametrize("no_room", TOO_LONG)
def test_old_messages_go_in_every_dialect(server: Scripted, no_room: tuple[int, Any]) -> None:
    server.no_room, server.room = no_room, 20
    server.say(200, reply("yes"))
    messages = [Message(role, f"{role} {n}") for n in range(4) for role in ("user", "assistant")]
    chat = Prompt((*messages, Message("user", "and now ?")))
    (found,) = opened(server, retries=0).generate([GenerationRequest(chat, (("long",),), 16)])
    assert (found.dropped, found.completions[0].text) == (8, "yes")
    assert server.asked[-1]["messages"] == [{"role": "user", "content": "and now ?"}]
    server.room = 2
    with pytest.raises(BackendError, match=r"too long for the model's context.*the server said"):
        opened(server, retries=0).generate(ask())


# Log-probabilities


def odd(change: dict[str, Any], text: str = "7") -> dict[str, Any]:
    found = with_top({"7": math.log(0.9), "8": math.log(0.05)}, text)
    found["choices"][0]["logprobs"]["content"][0] |= change
    return found


@pytest.mark.parametrize("change", [{"top_logprobs": []}, {"top_logprobs": None}, {"token": "hm"}])
def test_texts_are_read_where_probabilities_are_of_no_use(
    server: Scripted, change: dict[str, Any]
) -> None:
    for answered in (odd(change), odd(change), reply("7")):
        server.say(200, answered)
    backend = opened(server)
    with pytest.warns(EndpointWarning, match="2 of 2 answers.*backend.logprobs: false") as told:
        assert answer(backend, [NUMBER, NUMBER]) == [SEVEN, SEVEN]
        assert answer(backend, [NUMBER]) == [SEVEN]
    assert len(told) == 1
    assert ["logprobs" in asked for asked in server.asked] == [True] * 2 + [False] * 3


def test_probabilities_that_come_now_and_then_are_used(server: Scripted) -> None:
    backend = opened(server, concurrency=1)
    server.say(200, odd({}))
    server.say(200, odd({"top_logprobs": []}))
    server.say(200, reply("7"))
    with pytest.warns(EndpointWarning, match="1 of 2 answers"):
        first, second = answer(backend, [NUMBER, NUMBER])
    assert set(first.shares) == {7, 8} and second == SEVEN  # type: ignore[union-attr]
    assert "top_tokens" in backend.capabilities


# Errors


def test_an_error_with_status_200_is_retried_like_its_code(server: Scripted) -> None:
    server.say(200, {"choices": None, "error": {"message": "upstream is gone", "code": 502}})
    server.say(200, {"error": {"message": "slow down", "code": 429}})
    cut = reply("", "error")
    cut["choices"][0]["error"] = {"code": 503, "message": "the line was cut"}
    server.say(200, cut)
    server.say(200, reply("yes"))
    (found,) = opened(server).generate(ask())
    assert (found.completions[0].text, len(server.asked)) == ("yes", 4)


@pytest.mark.parametrize(
    ("body", "said", "times"),
    [
        ({"error": {"message": "upstream is gone", "code": 502}}, "error 502: upstream is gone", 2),
        ({"error": {"message": "no such model", "code": 404}}, "error 404: no such model", 1),
        ("data: {}\n\ndata: [DONE]", "a stream of events", 1),
        ("[" * 100_000, "doesn't follow OpenAI's API", 1),
        ('{"choices": [{"message": {"content": ' + "[" * 700 + "7" + "]" * 700 + "}}]}",
         "nested too deeply", 1),
        ({"choices": "none"}, "its answer has no choices", 1),
        ({"choices": [None]}, "its answer has no choices", 1),
        ([], "its answer has no choices", 1),
        ("<html>\x1b[31mplease sign in</html>", "please sign in", 1),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_an_odd_body_is_an_error_and_no_traceback(
    server: Scripted, body: Any, said: str, times: int
) -> None:
    server.say(200, body)
    with pytest.raises(BackendError, match=said):
        opened(server, retries=1).generate(ask())
    assert len(server.asked) == times


def test_an_endless_error_is_read_from_its_beginning(server: Scripted) -> None:
    """Reading all of ten megabytes would take seconds."""
    texts = [{"token": "7", "logprob": -2.0, "bytes": None}] * 200_000
    server.say(413, {"error": {"message": "request too large", "more": texts}})
    started = time.process_time()
    with pytest.raises(BackendError, match=r"too long for the model's context.*request too large"):
        opened(server, retries=0).generate(ask())
    assert time.process_time() - started < 2


def test_a_server_says_when_to_come_back(server: Scripted) -> None:
    server.wait = "300"
    server.say(429, {"error": {"message": "slow down"}})
    server.say(200, {"error": {"message": "slow down", "code": 429}})
    server.say(200, reply("yes"))
    started = time.monotonic()
    opened(server).generate(ask())
    assert time.monotonic() - started > 0.55


# What was paid


def test_what_was_answered_is_kept_before_an_error_is_raised(server: Scripted) -> None:
    for _ in range(6):
        server.say(200, reply("yes"))
    server.say(401, {"error": {"message": "key revoked"}})
    book = Book()
    with pytest.raises(BackendError, match="key revoked"):
        opened(server, book, input_price=1e6, retries=0).generate(ask(*"abcdefgh"))
    assert len(book.entries) == 6
    assert sum(cost for _, cost in book.entries) == 60


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": None}])
def test_costs_without_counts_are_estimated_and_that_is_said(server: Scripted, usage: Any) -> None:
    server.say(200, {**reply("yes"), "usage": usage})
    book = Book()
    backend = opened(server, book, concurrency=1, input_price=1e6, output_price=1e6)
    with pytest.warns(EndpointWarning, match="costs are estimated: a token for 3 bytes") as told:
        (found, _) = backend.generate(ask("am i good ?", "and you ?"))
    assert sorted(book.entries) == [(Spent(11, 2, True), 13.0), (Spent(12, 2, True), 14.0)]
    assert found.completions[0].tokens == 2
    assert len(told) == 1


def test_a_recalled_answer_is_not_asked_again(server: Scripted) -> None:
    class Remembering(Book):
        def __init__(self) -> None:
            super().__init__()
            self.kept: dict[str, Any] = {}

        def enter(self, key: str, answer: Any, spent: Spent, cost: float) -> None:
            super().enter(key, answer, spent, cost)
            self.kept[key] = json.loads(json.dumps(answer))

        def recall(self, key: str) -> Any:
            return self.kept.pop(key, None)

    server.say(200, reply("yes", reasoning="hm"))
    book = Remembering()
    first = opened(server, book).generate(ask("a", "b"))
    again = opened(server, book)
    assert again.generate(ask("a", "b")) == first
    assert len(server.asked) == 2
    again.generate(ask("a"))  # each answer is used up once
    assert len(server.asked) == 3
    opened(server, book, extra_body={"top_k": 1}).generate(ask("a"))  # another role's settings
    assert len(server.asked) == 4
    server.script.clear()
    server.say(200, odd({}))
    numbers = answer(opened(server, book), [NUMBER])
    assert answer(opened(server, book), [NUMBER]) == numbers
    assert len(server.asked) == 5


# Proxies


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_used_for_remote_endpoints_alone(
    server: Scripted, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    server.say(200, reply("yes"))
    monkeypatch.setenv(variable, f"http://127.0.0.1:{server.server_port}")
    remote = opened(server, url="http://judge.example:8000/v1", retries=0)
    remote.generate(ask())
    assert server.paths == {"http://judge.example:8000/v1/chat/completions"}
    server.paths.clear()
    opened(server).generate(ask())
    assert server.paths == {"/v1/chat/completions"}
    monkeypatch.setenv("NO_PROXY", "judge.example")
    with pytest.raises(BackendError, match="can't be reached"):
        opened(server, url="http://judge.example:8000/v1", retries=0).generate(ask())
