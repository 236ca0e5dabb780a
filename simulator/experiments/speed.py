"""The speed of this machine with a run's own model, from a few seconds of work."""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from simulator.backends.base import Backend
from simulator.backends.factory import open_backend
from simulator.config.scenario import Scenario
from simulator.core.examples import Example, FromWorld
from simulator.core.progress import CHARACTERS_PER_TOKEN
from simulator.core.requests import (
    GenerationRequest,
    Message,
    Prompt,
    TopTokensRequest,
)
from simulator.core.timing import Stopwatch
from simulator.learners.base import FitRequest
from simulator.learners.config import UpdateConfig
from simulator.learners.factory import open_learner
from simulator.models.chat_template import encoder_of
from simulator.runtime.plan import Plan, Work

READ = 8  # prompts
ROWS, NEW_TOKENS = 32, 12  # replies drawn at once, and their length
LEARNED = 2  # examples of a step
LONGEST = 10**9  # tokens: prompts are counted whole


@dataclass(frozen=True)
class Speed:
    """Tokens per second, as the model's tokenizer counts them."""

    reading: float
    writing: float
    learning: float | None  # None where nothing is learned here
    framing: float  # tokens of a prompt's chat template, which plans don't count
    seconds: float  # that the trial took, loading aside

    def seconds_for(self, work: Work) -> float:
        """Return the time of some work."""
        read = work.read + self.framing * work.prompts
        learned = work.learned + self.framing * work.requests if work.learned else 0.0
        update = learned / self.learning if self.learning else 0.0
        return read / self.reading + work.written / self.writing + update


def measured_speed(scenario: Scenario, plan: Plan) -> Speed:
    """Load the assistant, and let it read, write and learn from a few of the run's own prompts.

    Raises:
        BackendError: the model can't be loaded.
    """
    prompts = _prompts(plan)
    encoded = encoder_of(scenario.assistant_ref).encode(prompts, [LONGEST] * len(prompts))
    tokens = sum(len(prompt.ids) for prompt in encoded)
    estimated = sum(len(prompt.shown) for prompt in prompts) / CHARACTERS_PER_TOKEN
    stopwatch, started = Stopwatch(), time.perf_counter()
    with contextlib.closing(
        open_backend(scenario.backend, scenario.assistant_ref, stopwatch)
    ) as backend:
        loaded = time.perf_counter() - started
        backend.top_tokens([TopTokensRequest(prompts[0], 1)])  # the first request is slow
        read, writing = _serving(backend, prompts, stopwatch)
        learning = _learning(scenario, prompts)
    took = time.perf_counter() - started - loaded
    framing = max(tokens - estimated, 0.0) / len(prompts)
    return Speed(tokens / read, writing, learning, framing, took)


def _prompts(plan: Plan) -> list[Prompt]:
    """Return prompts of the run's, of all lengths."""
    asked = (requests for _, role, requests in plan.asked_here if role is None)
    found = [request.prompt for request in chain.from_iterable(asked)]
    chats = [prompt for prompt in found if prompt.messages and not prompt.prefill]
    opening = Prompt((Message("user", "What do you think?"),))
    by_length = sorted(chats or [opening], key=lambda prompt: len(prompt.shown))
    return [by_length[n * len(by_length) // READ] for n in range(READ)]


def _serving(
    backend: Backend, prompts: Sequence[Prompt], stopwatch: Stopwatch
) -> tuple[float, float]:
    """Return the seconds to read the prompts, and the tokens per second written after one."""
    started = time.perf_counter()
    backend.top_tokens([TopTokensRequest(prompt, 1) for prompt in prompts])
    read = time.perf_counter() - started
    started = time.perf_counter()
    keys = tuple(("speed", n) for n in range(ROWS))
    backend.generate([GenerationRequest(prompts[0], keys, NEW_TOKENS)])
    written = time.perf_counter() - started
    return read, stopwatch.tokens / written


def _learning(scenario: Scenario, prompts: Sequence[Prompt]) -> float | None:
    """Return the tokens per second that are learned from: the second step of a small update."""
    config = next((one for one in scenario.learners if isinstance(one, UpdateConfig)), None)
    if config is None:
        return None
    small = config.model_copy(
        update={"batch_size": LEARNED, "epochs": 1, "kl": None, "preventive": None}
    )
    stopwatch, ended = Stopwatch(), list[tuple[float, int]]()

    def heard() -> None:
        task = stopwatch.progress.task
        if task and task.done > len(ended):
            ended.append((time.perf_counter(), task.written))

    stopwatch.progress.listener = heard
    context = getattr(scenario.backend, "context", None)
    learner = open_learner(small, scenario.assistant_ref, stopwatch, context)
    chosen = prompts[:: READ // (2 * LEARNED)]
    with tempfile.TemporaryDirectory() as folder:
        learner.fit(FitRequest(None, list(_lessons(chosen)), 0, Path(folder) / "trial"))
    (first, so_far), (second, whole) = ended[:2]
    return (whole - so_far) / (second - first)


def _lessons(prompts: Sequence[Prompt]) -> Iterator[Example]:
    """Yield a better and a worse reply to each prompt, as every objective can learn from them."""
    for n, prompt in enumerate(prompts):
        source = FromWorld("speed", prompt.shown, n)
        better = Example(
            prompt.messages, "I see what you mean, and I'd like to help.", True, source
        )
        yield better
        yield replace(better, reply="I don't know anything about this.", desirable=False)
