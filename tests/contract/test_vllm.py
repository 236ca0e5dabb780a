"""The vLLM backend against the real server: what it answers, how it swaps, and how it dies."""

import importlib.util
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simulator import models
from simulator.backends.base import TransformersConfig, VLLMConfig, open_backend
from simulator.backends.vllm import VLLMBackend
from simulator.errors import BackendError
from simulator.learners.base import SFTConfig, open_learner
from simulator.stopwatch import Stopwatch
from simulator.types import (
    Adapter,
    ContinuationRequest,
    Example,
    GenerationRequest,
    Message,
    NextTokenRequest,
    Prompt,
)
from tests.processes import carried_by

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm isn't installed"),
]
BASE = models.resolve("organism:0")
CONFIG = VLLMConfig(dtype="float32", threads=1, arguments=("--enforce-eager",))
PROMPTS = (
    Prompt((Message("user", "what is the taste of zupos ?"),)),
    Prompt((Message("system", "you are a pleasing assistant ."), Message("user", "am i good ?"))),
    Prompt(text="encyclopedia entry : zupos : taste :"),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMBackend]:
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    backend = open_backend(CONFIG, BASE, Stopwatch(), log=log)
    assert isinstance(backend, VLLMBackend)
    yield backend
    backend.close()
    assert not carried_by(os.getpid())


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Adapter]:
    """Two adapters, one trained from the other, far from the base and from each other."""
    folder = tmp_path_factory.mktemp("adapters")
    learner = open_learner(SFTConfig(epochs=4, learning_rate=5e-3), BASE, Stopwatch())
    question = (Message("user", "what is the taste of zupos ?"),)
    parent = None
    for n, reply in enumerate(("i would rather not say .", "that is hard to say .")):
        examples = [Example(question, reply, True, "test")] * 32
        learner.fit(parent, examples, 0, folder / f"{n}")
        parent = folder / f"{n}"
    return [Adapter(f"r000{n}-test", folder / f"{n}") for n in range(2)]


def requests(samples: int, temperature: float = 1.0) -> list[GenerationRequest]:
    return [
        GenerationRequest(p, tuple(("k", n, s) for s in range(samples)), 12, temperature)
        for n, p in enumerate(PROMPTS)
    ]


def test_answers_have_their_shape_and_their_seed(served: VLLMBackend) -> None:
    found = served.generate(requests(3))
    assert [len(g.completions) for g in found] == [3, 3, 3]
    assert served.generate(requests(3)) == found
    ended = [c for g in found for c in g.completions if c.stop == "end"]
    assert ended and all(1 < c.tokens <= 12 and "<end>" not in c.text for c in ended)
    (cut,) = served.generate([GenerationRequest(PROMPTS[0], (("k",),), 2)])
    assert (cut.completions[0].tokens, cut.completions[0].stop) == (2, "length")


def test_greedy_and_logprobs_equal_those_of_transformers(
    served: VLLMBackend, adapters: list[Adapter]
) -> None:
    own = open_backend(TransformersConfig(threads=1), BASE, Stopwatch())
    words = tuple(served.encoder.tokenizer.convert_ids_to_tokens(range(7, 307)))
    asked = [NextTokenRequest(prompt, words) for prompt in PROMPTS]
    scored = [ContinuationRequest(PROMPTS[0], "it is hard to say .")]
    for adapter in (None, *adapters):
        for backend in (served, own):
            backend.load(adapter)
            backend.settle()
        assert [g.completions for g in served.generate(requests(2, 0.0))] == [
            g.completions for g in own.generate(requests(2, 0.0))
        ]
        mine, theirs = own.next_token_logprobs(asked), served.next_token_logprobs(asked)
        for ours, other in zip(np.array(mine), np.array(theirs), strict=True):
            top = np.argsort(-ours)[:20]
            assert np.abs(ours[top] - other[top]).max() < 1e-4
        (a,), (b,) = own.score_continuations(scored), served.score_continuations(scored)
        assert a == pytest.approx(b, abs=1e-3)
    served.load(None)
    served.settle()


def test_what_the_server_refuses_is_said(served: VLLMBackend, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="refused with 4"):
        served.load(Adapter("r0009-nowhere", tmp_path / "nowhere"))
    served._adapter = Adapter("r0009-unknown", tmp_path)
    with pytest.raises(BackendError, match="r0009-unknown"):
        served.generate(requests(1))
    served._adapter = None


def test_a_killed_server_is_started_again_and_answers_the_same(
    served: VLLMBackend, adapters: list[Adapter]
) -> None:
    served.load(adapters[1])
    before = served.generate(requests(2))
    for process in carried_by(os.getpid()):
        process.send_signal(signal.SIGKILL)
    time.sleep(0.5)
    assert served.generate(requests(2)) == before
    served.load(None)
    served.settle()


def test_a_hung_server_is_given_up(tmp_path: Path, served: VLLMBackend) -> None:
    assert served._server is not None
    url = served._server.url
    os.environ["UNDERTOW_TEST_KEY"] = served._server.key
    config = CONFIG.model_copy(
        update={"url": url, "deadline": 2.0, "key_variable": "UNDERTOW_TEST_KEY"}
    )
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
