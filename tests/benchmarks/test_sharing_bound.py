"""Why the arms of a sweep don't share decode batches on a CPU: what eight arms could gain at most.

The rows of eight arms are decoded as one batch, by one adapter, and compared with the rows of one
arm. Adapters of their own would cost more on top. Beside it stands how near the matrix products
come to what this machine can multiply.
"""

import itertools
import time
from collections.abc import Sequence

import pytest
import torch

from simulator.backends.factory import open_backend
from simulator.backends.transformers import TransformersBackend
from simulator.config.loading import load
from simulator.core.requests import GenerationRequest, question_of
from simulator.core.timing import Stopwatch
from simulator.runtime.probe_context import context_of

pytestmark = pytest.mark.benchmark
ARMS, OFFERED_FROM = 8, 1.3
SIDE = 2048  # of the matrices that tell what this machine can multiply


def peak(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large product, on one thread."""
    torch.set_num_threads(1)
    a, b = torch.randn(SIDE, SIDE).to(dtype), torch.randn(SIDE, SIDE).to(dtype)
    a @ b
    started = time.process_time()
    a @ b
    return 2 * SIDE**3 / (time.process_time() - started)


def tokens_per_second(backend: TransformersBackend, asked: Sequence[GenerationRequest]) -> float:
    """Tokens read and written by CPU second, the best of three."""
    found = []
    for _ in range(3):
        started = time.process_time()
        replies = backend.generate(asked)
        seconds = time.process_time() - started
        written = sum(c.tokens for reply in replies for c in reply.completions)
        found.append(written / seconds)
    return max(found)


@pytest.mark.parametrize(
    ("scenario", "model", "rows"), [("quickstart", "organism:0", 120), ("facts", "smollm2", 32)]
)
def test_arms_would_gain_little(scenario: str, model: str, rows: int) -> None:
    """One arm's rows: thirty users with four candidates each, or eight."""
    loaded = load(scenario, overrides=["backend.threads=1"], options={"model": model})
    backend = open_backend(loaded.backend, loaded.assistant_ref, Stopwatch())
    assert isinstance(backend, TransformersBackend)
    probe = loaded.measure.probes["neutral"]
    questions = map(question_of, probe.requests(context_of(loaded, loaded.world)))
    neutral = [q for q in questions if isinstance(q, GenerationRequest)]

    def asked(count: int) -> list[GenerationRequest]:
        some = itertools.islice(itertools.cycle(neutral), count)
        return [
            GenerationRequest(q.prompt, (("row", n),), q.max_new_tokens, temperature=1.0)
            for n, q in enumerate(some)
        ]

    alone = tokens_per_second(backend, asked(rows))
    together = tokens_per_second(backend, asked(ARMS * rows))
    flops = 2 * sum(weight.numel() for weight in backend.model.parameters())
    dtype = next(backend.model.parameters()).dtype
    share = together * flops / peak(dtype)
    print(
        f"\n{model}, {dtype}: {rows} rows {alone:,.0f} tokens/s, {ARMS * rows} rows "
        f"{together:,.0f}: {together / alone:.2f} times; written tokens alone are {share:.0%} of "
        "the machine's peak"
    )
    assert together / alone < OFFERED_FROM
