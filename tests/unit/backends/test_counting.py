"""What engines and learners count of their work, so that a run can tell its progress."""

from pathlib import Path

import pytest

from simulator.backends.base import Backend
from simulator.backends.config import OpenAIConfig, TransformersConfig
from simulator.backends.factory import open_backend
from simulator.core.examples import Example, FromWorld
from simulator.core.progress import task_of
from simulator.core.requests import (
    ContinuationRequest,
    GenerationRequest,
    Message,
    NextTokenRequest,
    Prompt,
    TopTokensRequest,
)
from simulator.core.timing import Stopwatch
from simulator.learners.base import FitRequest
from simulator.learners.config import SFTConfig
from simulator.learners.factory import open_learner
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve
from tests.helpers.fake_openai_endpoint import endpoint

PROMPTS = [Prompt((Message("user", f"what is your {what} ?"),)) for what in ("goal", "plan")]
DRAWN = [GenerationRequest(p, (("k", n), ("k", n, 1)), 6) for n, p in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture(scope="module")
def engine(watch: Stopwatch) -> Backend:
    config = TransformersConfig(threads=1, batch_size=2)
    return open_backend(config, resolve("organism:0"), watch)


def test_replies_and_tokens_are_counted_as_they_are_drawn(
    engine: Backend, watch: Stopwatch
) -> None:
    told = list[tuple[int, int]]()
    watch.progress.listener = lambda: told.append((now.done, now.written))
    before = watch.tokens
    with watch.progress.doing(now := task_of(DRAWN)):
        found = engine.generate(DRAWN)
    watch.progress.listener = lambda: None
    tokens = sum(c.tokens for generation in found for c in generation.completions)
    assert told[0] == (0, 0) and told[-1] == (4, tokens)
    assert told[1] == (0, 2)  # the first tokens of two replies, as a batch holds two
    assert any(done == 2 and written < tokens for done, written in told)
    assert [written for done, written in told if not done] == sorted(
        {written for done, written in told if not done}
    )
    assert watch.tokens - before == tokens


def test_a_reply_ends_at_its_own_limit(engine: Backend, watch: Stopwatch) -> None:
    asked = [GenerationRequest(p, (("k", n),), 1 + 7 * n) for n, p in enumerate(PROMPTS)]
    before = watch.tokens
    together = engine.generate(asked)
    assert [g.completions[0].stop for g in together] == ["length", "end"]
    assert watch.tokens - before == sum(g.completions[0].tokens for g in together)
    assert together == [engine.generate([request])[0] for request in asked]


def test_every_way_of_reading_is_counted(engine: Backend, watch: Stopwatch) -> None:
    next_token = [NextTokenRequest(prompt, ("i", "you")) for prompt in PROMPTS]
    continued = [ContinuationRequest(prompt, "i want to help") for prompt in PROMPTS]
    top = [TopTokensRequest(prompt) for prompt in PROMPTS]
    with watch.progress.doing(task := task_of([*next_token, *continued, *top])):
        engine.next_token_logprobs(next_token)
        assert task.done == 2
        engine.score_continuations(continued)
        assert task.done == 4
        engine.top_tokens(top)
        assert task.done == 6
    assert task.written == 0


def test_an_endpoint_is_counted_answer_by_answer() -> None:
    watch, told = Stopwatch(), list[int]()
    with endpoint() as server, watch.progress.doing(task := task_of(DRAWN)):
        url = f"http://127.0.0.1:{server.server_port}/v1"
        backend = open_backend(OpenAIConfig(url=url, concurrency=1), ModelRef("m"), watch)
        watch.progress.listener = lambda: told.append(task.done)
        found = backend.generate(DRAWN)
        backend.close()
    assert set(told) == {0, 1, 2, 3, 4} and told == sorted(told)
    tokens = sum(c.tokens for generation in found for c in generation.completions)
    assert task.written == watch.tokens == tokens > 0


@pytest.mark.parametrize("own_process", [False, True])
def test_an_update_counts_its_steps(tmp_path: Path, own_process: bool) -> None:
    """In a process of its own, too."""
    watch, told = Stopwatch(), list[tuple[str, int, int, int]]()

    def heard() -> None:
        task = watch.progress.task
        assert task is not None
        told.append((task.what, task.total, task.done, task.written))

    watch.progress.listener = heard
    config = SFTConfig(epochs=2, batch_size=2, own_process=own_process)
    learner = open_learner(config, resolve("organism:0"), watch, None)
    examples = [
        Example(prompt.messages, "i want to help .", True, FromWorld("s", "q", n))
        for n, prompt in enumerate([*PROMPTS, *PROMPTS, PROMPTS[0]])
    ]
    update = learner.fit(FitRequest(None, examples, 0, tmp_path / "out"))
    assert update.steps == 6  # two epochs of five rows, two at a time
    assert {(what, total) for what, total, _, _ in told} == {("steps", 6)}
    assert sorted({done for _, _, done, _ in told}) == [0, 1, 2, 3, 4, 5, 6]
    assert told[-1][3] > 2 * 5 * len(["i", "want", "to", "help", "."])
    assert watch.progress.task is None
