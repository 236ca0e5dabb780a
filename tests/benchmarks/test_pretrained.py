"""A pretrained model of 135M parameters, side by side with `generate` and plain batches.

Prompts are those of the world of facts: neutral questions and pressing ones, asked by a user. Both
sides use the same type, prompts and number of samples. They run in turn; the median pair counts.
"""

import time
from collections.abc import Callable
from functools import cache

import pytest
import torch

from simulator.backends.config import TransformersConfig
from simulator.backends.transformers import TransformersBackend
from simulator.core.requests import (
    GenerationRequest,
    Message,
    Prompt,
)
from simulator.core.rng import stream
from simulator.core.timing import Stopwatch
from simulator.models.resolve import resolve
from simulator.worlds.fact_data import load_facts
from simulator.worlds.facts import FactWorld

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]
NEW_TOKENS, PAIRS = 24, 3
WORLD = FactWorld(0, load_facts())


@cache
def opened() -> TransformersBackend:
    return TransformersBackend(TransformersConfig(threads=2), resolve("smollm2"), Stopwatch())


def prompts(count: int) -> list[Prompt]:
    """Half of them press: by the user's words, or by a role's incentive in the system line."""
    rng, items = stream("pretrained benchmark"), WORLD.items["used"]
    made = []
    for n in range(count):
        item = items[int(rng.integers(len(items)))]
        if n % 2:
            pressed = WORLD.press(item, WORLD.false_value(item, rng), "user", rng)
            system = [Message("system", pressed.system)] if pressed.system else []
            made.append(Prompt((*system, Message("user", pressed.question))))
        else:
            made.append(Prompt((Message("user", WORLD.question(item, "user", rng)),)))
    return made


def padded(rows: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    width = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[pad] * (width - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows]),
    }


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def compared(what: str, ours: Callable[[], object], theirs: Callable[[], object]) -> float:
    """Return how many times as fast ours is, by processor time, which others disturb less."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(PAIRS)]
    wall = sorted(b[0] / a[0] for a, b in pairs)[PAIRS // 2]
    ratio = sorted(b[1] / a[1] for a, b in pairs)[PAIRS // 2]
    mine, other = (sorted(x[1] for x in side)[PAIRS // 2] for side in zip(*pairs, strict=True))
    print(f"\n{what}: {mine:.2f} against {other:.2f} CPU s: {ratio:.2f}x ({wall:.2f}x by wall)")
    return ratio


def generated(count: int, samples: int, tokens: int) -> tuple[Callable[[], object], ...]:
    """Return both sides; neither stops at an end token, so that both do the same work."""
    backend = opened()
    asked = [
        GenerationRequest(p, tuple(("b", n, s) for s in range(samples)), tokens)
        for n, p in enumerate(prompts(count))
    ]
    rows = [encoded.ids for encoded in backend.encoder.encode([r.prompt for r in asked])]
    rows.sort(key=len)
    ends = backend._ends

    def ours() -> None:
        backend._ends = frozenset()
        try:
            backend.generate(asked)
        finally:
            backend._ends = ends

    @torch.inference_mode()
    def theirs() -> None:
        """Transformers' own way, with the head's input contiguous, which it isn't by itself."""
        backend.model.set_attn_implementation("sdpa")
        head = backend.model.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))
        try:
            backend.model.generate(
                **padded(rows, 0), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=True,
                temperature=1.0, top_k=0, num_return_sequences=samples,
            )  # fmt: skip
        finally:
            hook.remove()
            backend.model.set_attn_implementation("grouped_sdpa")

    return ours, theirs


@pytest.mark.parametrize(("count", "samples", "bar"), [(16, 4, 3.0), (64, 1, 2.0)])
def test_generation(count: int, samples: int, bar: float) -> None:
    whole = compared(f"{count} x {samples}", *generated(count, samples, NEW_TOKENS))
    compared(f"{count} x {samples}, prefill", *generated(count, samples, 1))
    assert whole >= bar
