"""The memory that a run holds at once on a CPU or GPU, estimated from its largest batches."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from simulator.backends.config import AutoConfig, OpenAIConfig, TransformersConfig, VLLMConfig
from simulator.config.scenario import Scenario
from simulator.core.errors import BackendError
from simulator.core.progress import CHARACTERS_PER_TOKEN, times_asked
from simulator.core.requests import GenerationRequest, Request, question_of
from simulator.learners.config import UpdateConfig
from simulator.models.memory import GIB, ModelSize, model_size
from simulator.runtime.plan import Plan
from simulator.runtime.probe_context import context_of
from simulator.runtime.upper_bounds import conversations_per_round, example_tokens, longest_chat

LIBRARIES = 0.7 * GIB  # what Python and its libraries hold


class Batch(NamedTuple):
    """Rows that are worked on together."""

    what: str
    rows: int
    read: int  # prompts; samples of one prompt share its prefill
    prompt: int  # the longest, in tokens
    written: int  # at most, after each

    @property
    def words(self) -> str:
        """Its shape as text."""
        tokens = self.prompt + self.written
        return f"{self.rows:,} rows of {tokens:,} tokens, {self.what}"

    def within(self, context: int | None) -> "Batch":
        """Return the batch with prompts that leave room for their replies."""
        room = self.prompt if context is None else context - self.written
        return self._replace(prompt=min(self.prompt, room))

    def cache(self, size: ModelSize) -> int:
        """Return the bytes of its keys and values."""
        tokens = self.rows * (self.prompt + self.written) if self.written else 0
        return tokens * size.cache_per_token

    def working(self, size: ModelSize) -> int:
        """Return the bytes that its prefill holds besides."""
        return self.read * self.prompt * size.forward_per_token + self.rows * size.logits_per_row


class Held(NamedTuple):
    """The parts of a run's memory, in bytes."""

    batch: Batch  # the one that needs most
    cache: int
    working: int
    learning: int  # of an update's step, besides its copy of the weights

    @property
    def most(self) -> int:
        """The most that is held at once beside weights."""
        return max(self.cache + self.working, self.learning)


def memory_of(scenario: Scenario) -> int:
    """Return the bytes that a run holds at once on this machine; 0 where that isn't known."""
    backend = scenario.backend
    backend = backend.chosen if isinstance(backend, AutoConfig) else backend
    if isinstance(backend, OpenAIConfig):
        return int(LIBRARIES)
    model = scenario.assistant_ref
    learner = next((one for one in scenario.learners if isinstance(one, UpdateConfig)), None)
    try:
        size = model_size(model, backend.dtype, getattr(backend, "device", "auto"))
        copy = learner and model_size(model, learner.dtype, learner.device)
    except BackendError:
        return 0
    weights = size.weights + (copy.weights if copy else 0)
    if isinstance(backend, VLLMConfig):
        return int(weights + backend.cpu_cache_gib * GIB + 2 * LIBRARIES)
    found = held(Plan(scenario, context_of(scenario, scenario.world)), size, copy or size)
    return int(weights + found.most + LIBRARIES)


def held(plan: Plan, size: ModelSize, of_learner: ModelSize) -> Held:
    """Return what is held at once: replies and prompts are answered in batches, one after another.

    Args:
        plan: of a run whose assistant is served by transformers.
        size: of the served model.
        of_learner: of the learner's copy.
    """
    longest = getattr(plan.scenario.backend, "context", None)
    batches = (*_conversations(plan.scenario), *_probes(plan))
    found = [batch.within(longest) for batch in batches]
    found.append(Batch("none", 0, 0, 0, 0))
    largest = max(found, key=lambda batch: batch.cache(size) + batch.working(size))
    learning = max((_step(plan.scenario, u, of_learner) for u in plan.scenario.learners), default=0)
    return Held(largest, largest.cache(size), largest.working(size), learning)


def _limit(scenario: Scenario) -> int:
    backend = scenario.backend
    return backend.batch_size if isinstance(backend, TransformersConfig) else DEFAULT_ROWS


DEFAULT_ROWS = int(TransformersConfig().batch_size)


def _conversations(scenario: Scenario) -> Iterator[Batch]:
    if not scenario.loop_rounds:
        return
    config, limit = scenario.conversations, _limit(scenario)
    talks = min(conversations_per_round(scenario), config.wave_size)
    rows = min(talks * config.candidates, limit)
    prompts = min(talks, -(-rows // config.candidates))
    yield Batch("replies", rows, prompts, longest_chat(scenario), config.max_new_tokens)


def _probes(plan: Plan) -> Iterator[Batch]:
    limit = _limit(plan.scenario)
    for name, role, requests in plan.asked_here:
        drawn = [q for q in map(question_of, requests) if isinstance(q, GenerationRequest)]
        read: Sequence[Request] = [r for r in requests if question_of(r) not in drawn]
        what = f"{name}'s replies" if role is None else f"judgements of {name}"
        if drawn:
            rows = min(sum(len(q.keys) for q in drawn), limit)
            written = max(q.max_new_tokens for q in drawn)
            yield Batch(what, rows, min(len(drawn), rows), _longest(drawn), written)
        if read:
            rows = min(sum(times_asked(question_of(r)) for r in read), limit)
            yield Batch(what, rows, rows, _longest(read), 0)


def _longest(requests: Sequence[Request]) -> int:
    return max(len(request.prompt.shown) for request in requests) // CHARACTERS_PER_TOKEN


def _step(scenario: Scenario, learner: object, size: ModelSize) -> int:
    """Return the bytes that a step of an update holds besides the weights."""
    if not isinstance(learner, UpdateConfig):
        return 0
    rows = learner.micro_batch or learner.batch_size
    checkpointed = learner.gradient_checkpointing
    kept = size.checkpointed_per_token if checkpointed else size.backward_per_token
    return int(rows * example_tokens(scenario) * (kept + size.logits_per_row))
