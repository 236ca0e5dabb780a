"""A pretrained model of 135M parameters, side by side with `generate` and plain batches.

Prompts are those of the world of facts: neutral questions and pressing ones, asked by a user. Both
sides use the same type, prompts and number of samples. They run in turn; the median pair counts.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from transformers import PreTrainedModel

from simulator.backends.config import TransformersConfig
from simulator.backends.transformers import TransformersBackend
from simulator.core.requests import (
    ContinuationRequest,
    GenerationRequest,
    Message,
    NextTokenRequest,
    Prompt,
)
from simulator.core.rng import stream
from simulator.core.timing import Stopwatch
from simulator.models.pretrained import load_causal_lm
from simulator.models.resolve import resolve
from simulator.worlds.fact_data import load_facts
from simulator.worlds.facts import FactWorld
from tests.helpers.plain_model import generate_plainly, read_plainly, seconds, tuned

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]
NEW_TOKENS, PAIRS = 24, 3
WORLD = FactWorld(0, load_facts())


@cache
def opened() -> TransformersBackend:
    return TransformersBackend(TransformersConfig(threads=2), resolve("smollm2"), Stopwatch())


@cache
def plain() -> PreTrainedModel:
    """The same model in the same type, as transformers loads it."""
    model = load_causal_lm(resolve("smollm2"), dtype=opened().model.dtype)
    return model.eval().requires_grad_(False)


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

    def theirs() -> None:
        generate_plainly(
            plain(), rows, max_new_tokens=tokens, min_new_tokens=tokens,
            num_return_sequences=samples,
        )  # fmt: skip

    return ours, theirs


@pytest.mark.parametrize(("count", "samples", "bar"), [(16, 4, 3.0), (64, 1, 2.0)])
def test_generation(count: int, samples: int, bar: float) -> None:
    whole = compared(f"{count} x {samples}", *generated(count, samples, NEW_TOKENS))
    compared(f"{count} x {samples}, prefill", *generated(count, samples, 1))
    assert whole >= bar


def test_scores_of_all_values() -> None:
    """Four values after each of 48 prompts, as belief and statements are read."""
    backend = opened()
    values = ("Paris", "Canberra", "the Swiss franc", "green")
    asked = [ContinuationRequest(p, value) for p in prompts(48) for value in values]
    replies = backend.encoder.encode_replies(
        [r.continuation for r in asked], [r.prompt for r in asked]
    )
    before = [encoded.ids for encoded in backend.encoder.encode([r.prompt for r in asked])]
    rows = [context + reply for context, reply in zip(before, replies, strict=True)]

    def theirs(size: int) -> list[float]:
        read = read_plainly(plain(), rows, [len(reply) for reply in replies], size)
        return [float(p[range(len(r)), r].sum()) for p, r in zip(read, replies, strict=True)]

    np.testing.assert_allclose(backend.score_continuations(asked), theirs(32), atol=1.0)  # bfloat16
    assert compared("192 scores", lambda: backend.score_continuations(asked), tuned(theirs)) >= 2.0


def test_readings_of_next_tokens() -> None:
    backend = opened()
    asked = [NextTokenRequest(p, ("A", "B")) for p in prompts(128)]
    rows = [encoded.ids for encoded in backend.encoder.encode([r.prompt for r in asked])]
    wanted = [backend.encoder.token_id(token) for token in ("A", "B")]

    def theirs(size: int) -> list[list[float]]:
        read = read_plainly(plain(), [[*row, 0] for row in rows], [1] * len(rows), size)
        return [found[0, wanted].tolist() for found in read]

    np.testing.assert_allclose(backend.next_token_logprobs(asked), theirs(32), atol=1.0)
    ratio = compared("128 readings", lambda: backend.next_token_logprobs(asked), tuned(theirs))
    assert ratio >= 1.2
