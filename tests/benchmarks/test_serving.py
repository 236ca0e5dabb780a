"""What our side of a vLLM server costs: in tokens per second, at a swap, and in CPU per turn."""

import asyncio
import contextlib
import gc
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest

from simulator.backends.config import VLLMConfig
from simulator.backends.factory import open_backend
from simulator.backends.vllm import VLLMBackend
from simulator.config.loading import load
from simulator.core.adapters import Adapter
from simulator.core.examples import Example, FromFile
from simulator.core.requests import GenerationRequest, Message, Prompt
from simulator.core.rng import seed31
from simulator.core.timing import Stopwatch
from simulator.learners.base import FitRequest
from simulator.learners.config import SFTConfig
from simulator.learners.factory import open_learner
from simulator.models.resolve import resolve, world_of
from simulator.runtime.canary import check_swap
from simulator.simulation.conversation import Environment, hold_wave
from simulator.simulation.population import Population
from simulator.simulation.roles import Roles
from tests.contract.engines import MERGED, SERVED, needs_vllm

pytestmark = [*needs_vllm, pytest.mark.benchmark]
BASE = resolve("organism:0")
CONVERSATIONS, MANY, NEW_TOKENS, REPEATS = 512, 4096, 32, 9


@contextlib.contextmanager
def server(config: VLLMConfig, log: Path) -> Iterator[VLLMBackend]:
    low = config.model_copy(update={"dtype": "bfloat16"})
    found = open_backend(low, BASE, Stopwatch(), log=log)
    assert isinstance(found, VLLMBackend)
    with contextlib.closing(found):
        yield found


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMBackend]:
    """A server as it is without a GPU: adapters are merged into its weights."""
    with server(MERGED, tmp_path_factory.mktemp("merged") / "server.log") as found:
        yield found


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMBackend]:
    """A server with adapters beside its weights."""
    with server(SERVED, tmp_path_factory.mktemp("beside") / "server.log") as found:
        yield found


def wave(count: int) -> list[GenerationRequest]:
    """A turn of as many conversations, of different lengths."""
    items = world_of("organism:0").items["used"]
    asked = []
    for n in range(count):
        item = items[n % len(items)]
        texts = [f"what is the {item.attribute} of {item.entity} ?", "it is hard to say ."]
        turns = [Message("user", texts[0]), Message("assistant", texts[1])] * (n % 3)
        prompt = Prompt((*turns, Message("user", texts[0])))
        asked.append(GenerationRequest(prompt, (("wave", n),), NEW_TOKENS))
    return asked


def ours(backend: VLLMBackend, asked: Sequence[GenerationRequest]) -> float:
    """Returns tokens per second."""
    started = time.perf_counter()
    found = backend.generate(asked)
    return sum(g.completions[0].tokens for g in found) / (time.perf_counter() - started)


def straight(
    client: openai.AsyncOpenAI, runner: asyncio.Runner, bodies: Sequence[dict[str, Any]]
) -> float:
    """Returns tokens per second of the client alone, asked the very same."""
    free = asyncio.Semaphore(VLLMConfig().concurrency)

    async def ask(body: dict[str, Any]) -> int:
        async with free:
            answer = await client.completions.create(**body)
        return len(answer.choices[0].token_ids)

    async def ask_all() -> int:
        return sum(await asyncio.gather(*map(ask, bodies)))

    started = time.perf_counter()
    tokens = runner.run(ask_all())
    return tokens / (time.perf_counter() - started)


def test_the_server_is_the_limit(backend: VLLMBackend) -> None:
    assert backend._server is not None
    asked = wave(CONVERSATIONS)
    bodies = [
        backend._body(encoded.ids, NEW_TOKENS, 1.0, n=1, seed=seed31(*request.keys[0]))
        for request, encoded in zip(
            asked, backend.encoder.encode([r.prompt for r in asked]), strict=True
        )
    ]
    url, key = backend._server.url, backend._server.key
    with asyncio.Runner() as runner:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, timeout=600)
        straight(client, runner, bodies)
        ours(backend, asked)
        pairs = [(ours(backend, asked), straight(client, runner, bodies)) for _ in range(REPEATS)]
        runner.run(client.close())
    ratio = statistics.median(a / b for a, b in pairs)
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"\n{CONVERSATIONS} conversations: {mine:,.0f} tokens/s, straight {theirs:,.0f}: "
          f"{ratio:.3f}")  # fmt: skip
    assert ratio >= 0.95


def swaps(backend: VLLMBackend, folder: Path) -> list[float]:
    """Returns the seconds from an adapter saved to its canary passed, for twelve adapters."""
    learner = open_learner(SFTConfig(epochs=2, learning_rate=5e-3), BASE, Stopwatch(), None)
    parent, spent = None, []
    for n, reply in enumerate(("i would rather not say .", "that is hard to say .") * 6):
        examples = [Example(r.prompt.messages, reply, True, FromFile("x", 1)) for r in wave(32)]
        update = learner.fit(FitRequest(parent, examples, n, folder / f"{n}"))
        parent = folder / f"{n}"
        started = time.perf_counter()
        backend.load(Adapter(f"r{n:04d}-benchmark", parent))
        canary = check_swap(backend, update.readings, 0.0)
        spent.append(time.perf_counter() - started)
        backend.drop_previous()
        assert canary.verdict == "passed"
    return spent


def test_a_saved_adapter_soon_answers_and_soonest_if_merged(
    backend: VLLMBackend, beside: VLLMBackend, tmp_path: Path
) -> None:
    asked, rates = wave(CONVERSATIONS), []
    spent = {name: swaps(b, tmp_path / name) for name, b in (("m", backend), ("b", beside))}
    for _ in range(REPEATS + 1):
        rates.append((ours(backend, asked), ours(beside, asked)))
    for served in (backend, beside):
        served.load(None)
        served.drop_previous()
    merged, other = (", ".join(f"{1000 * s:.0f}" for s in spent[name]) for name in "mb")
    print(f"\nadapter saved → canary passed: merged {merged} ms, beside {other} ms")
    ratio = statistics.median(a / b for a, b in rates[1:])
    print(f"merged against beside: {ratio:.2f} times the tokens/s")
    assert statistics.median(spent["m"]) <= 0.25
    assert ratio >= 1.0


def cpu_per_turn(backend: VLLMBackend, conversations: int) -> float:
    """Returns CPU seconds of this process alone, the server's not counted, per turn of a wave."""
    scenario = load(overrides=[f"population.users={conversations}"], biased_frac=0.1)
    short = {"turns": 2, "candidates": 1, "max_new_tokens": 4}
    started = time.process_time()
    rows = hold_wave(
        Population(scenario.population, scenario.seed, None).active_in(1),
        environment=Environment(world_of("organism:0"), ()),
        backend=backend,
        roles=Roles({}, []),
        config=scenario.conversations.model_copy(update=short),
        key=("benchmark", conversations),
        round_number=1,
    )
    return (time.process_time() - started) / len(rows)


def test_a_turn_costs_as_much_in_a_large_wave(backend: VLLMBackend) -> None:
    gc.collect()
    gc.freeze()  # else what other tests left is looked through again and again, and at our cost
    cpu_per_turn(backend, CONVERSATIONS)
    pairs = [(cpu_per_turn(backend, CONVERSATIONS), cpu_per_turn(backend, MANY)) for _ in range(3)]
    gc.unfreeze()
    small, large = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"\nCPU per turn: {1000 * small:.2f} ms in {CONVERSATIONS} conversations, "
          f"{1000 * large:.2f} ms in {MANY}: {ratio:.2f}x")  # fmt: skip
    assert ratio <= 1.25
