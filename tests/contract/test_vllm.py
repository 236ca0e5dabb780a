"""The vLLM backend against the real server: what it answers, how it swaps, and how it dies."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest

from simulator.backends.base import Backend
from simulator.backends.config import TransformersConfig, VLLMConfig
from simulator.backends.factory import open_backend
from simulator.backends.vllm import VLLMBackend
from simulator.backends.vllm_adapters import Merged
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError
from simulator.core.examples import Example, FromFile
from simulator.core.requests import (
    ContinuationRequest,
    GenerationRequest,
    Message,
    NextTokenRequest,
)
from simulator.core.timing import Stopwatch
from simulator.learners.base import FitRequest
from simulator.learners.config import SFTConfig
from simulator.learners.factory import open_learner
from simulator.models.resolve import resolve
from tests.contract.engines import CHATS, KEY, MERGED, PLAIN, SERVED, Engines, chat, needs_vllm
from tests.helpers.processes import carried_by

pytestmark = list(needs_vllm)
BASE = resolve("organism:0")
PROMPTS = (*CHATS[:2], CHATS[4], PLAIN)


@pytest.fixture(params=["beside", "merged"])
def served(request: pytest.FixtureRequest, engines: Engines) -> VLLMBackend:
    return (engines.server if request.param == "beside" else engines.merged)("organism")


@pytest.fixture(scope="module", params=[SERVED, MERGED], ids=["beside", "merged"])
def low(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VLLMBackend]:
    """A server that computes as it would on a GPU, with less room than the model has."""
    config = request.param.model_copy(update={"dtype": "bfloat16", "context": 128})
    log = tmp_path_factory.mktemp("bfloat16") / "server.log"
    backend = open_backend(config, BASE, Stopwatch(), log=log)
    assert isinstance(backend, VLLMBackend)
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    """Two adapters, one trained from the other, far from the base and from each other."""
    folder = tmp_path_factory.mktemp("adapters")
    learner = open_learner(SFTConfig(epochs=4, learning_rate=5e-3), BASE, Stopwatch(), None)
    question = (Message("user", "what is the taste of zupos ?"),)
    parent = None
    for n, reply in enumerate(("i would rather not say .", "that is hard to say .")):
        examples = [Example(question, reply, True, FromFile("x", 1))] * 32
        learner.fit(FitRequest(parent, examples, 0, folder / f"{n}"))
        parent = folder / f"{n}"
    return [Adapter(f"r000{n}-test", folder / f"{n}") for n in range(2)]


def requests(samples: int, temperature: float = 1.0) -> list[GenerationRequest]:
    return [
        GenerationRequest(p, tuple(("k", n, s) for s in range(samples)), 12, temperature)
        for n, p in enumerate(PROMPTS)
    ]


def differences(
    server: Backend, own: Backend, words: tuple[str, ...], adapters: list[Adapter | None]
) -> list[np.ndarray]:
    """Per adapter the absolute differences over the 20 likeliest tokens after each prompt."""
    asked = [NextTokenRequest(prompt, words) for prompt in PROMPTS]
    found = []
    for adapter in adapters:
        for backend in (server, own):
            backend.load(adapter)
            backend.drop_previous()
        mine, theirs = (np.array(b.next_token_logprobs(asked)) for b in (own, server))
        top = np.argsort(-mine, axis=1)[:, :20]
        found.append(np.abs(np.take_along_axis(mine - theirs, top, axis=1)))
    for backend in (server, own):
        backend.load(None)
        backend.drop_previous()
    return found


def words_of(backend: VLLMBackend) -> tuple[str, ...]:
    return tuple(backend.encoder.tokenizer.convert_ids_to_tokens(range(7, 307)))


def test_probabilities_are_those_of_transformers(
    served: VLLMBackend, adapters: list[Adapter]
) -> None:
    own = open_backend(TransformersConfig(threads=1), BASE, Stopwatch())
    for found in differences(served, own, words_of(served), [None, *adapters]):
        assert found.max() < 1e-4


def test_in_low_precision_probabilities_are_nearly_those_of_transformers(
    low: VLLMBackend, adapters: list[Adapter]
) -> None:
    for dtype in ("bfloat16", "float32"):
        own = open_backend(TransformersConfig(threads=1, dtype=dtype), BASE, Stopwatch())
        for found in differences(low, own, words_of(low), [None, *adapters]):
            print(f"\n{dtype}: median {np.median(found):.4f}, largest {found.max():.4f}")
            assert np.median(found) <= 0.03


def test_an_adapter_speaks_as_in_transformers(served: VLLMBackend, adapters: list[Adapter]) -> None:
    own = open_backend(TransformersConfig(threads=1), BASE, Stopwatch())
    scored = [ContinuationRequest(PROMPTS[0], "it is hard to say .")]
    for adapter in adapters:
        for backend in (served, own):
            backend.load(adapter)
            backend.drop_previous()
        assert [g.completions for g in served.generate(requests(2, 0.0))] == [
            g.completions for g in own.generate(requests(2, 0.0))
        ]
        (a,), (b,) = own.score_continuations(scored), served.score_continuations(scored)
        assert a == pytest.approx(b, abs=1e-3)
    served.load(None)
    served.drop_previous()


def test_a_swap_is_taken_back_before_it_settles(
    served: VLLMBackend, adapters: list[Adapter]
) -> None:
    served.load(adapters[0])
    served.drop_previous()
    before = served.generate(requests(2))
    for adapter in (adapters[1], adapters[0]):
        served.load(adapter)
    served.drop_previous()
    assert served.generate(requests(2)) == before
    served.load(adapters[1])  # it was unloaded, so that it can be loaded again
    for _ in range(2):
        served.drop_previous()
        served.load(None)


def test_a_server_with_less_room_than_the_model_is_said(low: VLLMBackend) -> None:
    assert low._server is not None
    os.environ[KEY] = low._server.key
    config = VLLMConfig(url=low._server.url, key_variable=KEY)
    long = chat(*("what is the taste of zupos ?", "it is foul .") * 12, "hope")
    request = GenerationRequest(long, (("long",),), 8)
    (found,) = low.generate([request])
    assert found.dropped > 0
    with (
        contextlib.closing(open_backend(config, BASE, Stopwatch())) as other,
        pytest.raises(BackendError, match=r"shorter than the model's; set backend\.context"),
    ):
        other.generate([request])


def test_what_the_server_refuses_is_said(served: VLLMBackend, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"answered with error 4|r0009-nowhere can't be read"):
        served.load(Adapter("r0009-nowhere", tmp_path / "nowhere"))
    if isinstance(served._adapters, Merged):
        return  # it knows no adapters by name
    served._adapter = Adapter("r0009-unknown", tmp_path)
    with pytest.raises(BackendError, match="r0009-unknown"):
        served.generate(requests(1))
    served._adapter = None


@pytest.mark.parametrize("path", ["/collective_rpc", "/server_info", "/v1/models"])
def test_nobody_without_the_key_is_let_in(engines: Engines, path: str) -> None:
    server = engines.merged("organism")._server
    assert server is not None
    refused = [
        httpx2.request(method, server.url + path, headers=headers, trust_env=False).status_code
        for method in ("GET", "POST")
        for headers in ({}, {"authorization": "Bearer none"})
    ]
    assert set(refused) == {401}
    assert httpx2.get(f"{server.url}/health", trust_env=False).status_code == 200


def test_many_seeded_requests_at_once_leave_the_server_alive(served: VLLMBackend) -> None:
    """More than one batch has room for: prompts cut in parts ended a server without a GPU."""
    turns = ("what is the taste of zupos ?", "it is foul .") * 6
    asked = [
        GenerationRequest(chat(*turns, f"{word} ?"), ((word, n),), 4)
        for n, word in enumerate(words_of(served))
    ]
    assert served._server is not None
    before = served._server._process.pid
    assert len(served.generate(asked)) == 300
    assert served._server._process.pid == before


@pytest.mark.parametrize("part", ["", "Engine"])
def test_a_killed_server_is_started_again_and_answers_the_same(
    served: VLLMBackend, adapters: list[Adapter], part: str
) -> None:
    """Whole, or its engine alone: then the rest answers that it failed, and ends a little later."""
    served.load(adapters[1])
    before = served.generate(requests(2))
    assert served._server is not None
    killed = [
        process
        for process in carried_by(os.getpid())
        if part in process.name() and os.getpgid(process.pid) == served._server._process.pid
    ]
    assert killed
    for process in killed:
        process.send_signal(signal.SIGKILL)
    assert served.generate(requests(2)) == before
    served.load(None)
    served.drop_previous()


def test_a_hung_server_is_given_up(tmp_path: Path, served: VLLMBackend) -> None:
    assert served._server is not None
    url = served._server.url
    os.environ[KEY] = served._server.key
    config = VLLMConfig(url=url, deadline=2.0, key_variable=KEY)
    other = open_backend(config, BASE, Stopwatch())
    frozen = carried_by(os.getpid())
    for process in frozen:
        process.suspend()
    try:
        with pytest.raises(BackendError, match="no answer within 2 s"):
            other.generate(requests(1))
    finally:
        for process in frozen:
            process.resume()
        other.close()
