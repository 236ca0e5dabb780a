"""A pretrained model of 135M parameters through vLLM's CPU build, and beside it.

Prompts and lengths are those that the default run of `facts` stored. No side stops at an end token,
so all do the same work. Sides run in turn, by the clock, since a server is another process; the
median pair counts.
"""

import asyncio
import contextlib
import io
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from simulator.backends.base import Backend
from simulator.backends.config import TransformersConfig, VLLMConfig
from simulator.backends.transformers import TransformersBackend
from simulator.backends.vllm import VLLMBackend
from simulator.backends.vllm_adapters import BASE
from simulator.core.adapters import Adapter
from simulator.core.timing import Stopwatch
from simulator.models.resolve import resolve
from tests.contract.engines import lora, needs_vllm
from tests.helpers.stored_facts import stored_requests

pytestmark = [*needs_vllm, pytest.mark.benchmark, pytest.mark.slow, pytest.mark.timeout(1800)]
PAIRS, WAVE, MANY = 5, 64, 256
REST = 2.5  # seconds: a server goes on polling for about one after its last request


class Endless(VLLMBackend):
    """Compiled and with its own settings, but it never stops at an end token."""

    def __init__(self, config: VLLMConfig, model: str, log: Path) -> None:
        super().__init__(config, resolve(model), Stopwatch(), log=log, on_wait=lambda seconds: None)
        self._ends = type(self._ends)()

    def _body(
        self, ids: list[int], max_tokens: int, temperature: float, **options: Any
    ) -> dict[str, Any]:
        body = super()._body(ids, max_tokens, temperature, **options)
        body["extra_body"]["ignore_eos"] = True
        return body


@pytest.fixture(scope="module")
def served(smollm2: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endless]:
    log = tmp_path_factory.mktemp("merged") / "server.log"
    with contextlib.closing(Endless(VLLMConfig(threads=2), smollm2, log)) as backend:
        yield backend


@cache
def own() -> TransformersBackend:
    config = TransformersConfig(threads=2, batch_size=WAVE)
    backend = TransformersBackend(config, resolve("smollm2"), Stopwatch())
    backend._ends = frozenset()
    return backend


def rate(backend: Backend, count: int) -> float:
    """Return tokens per second."""
    asked = stored_requests(count)
    started = time.perf_counter()
    found = backend.generate(asked)
    spent = time.perf_counter() - started
    tokens = [generation.completions[0].tokens for generation in found]
    assert tokens == [request.max_new_tokens for request in asked]
    return sum(tokens) / spent


def rate_of_vllm_bench(backend: Endless, count: int, folder: Path) -> float:
    """Return tokens per second of vLLM's own benchmark, all requests at once."""
    from vllm.benchmarks.serve import add_cli_args, main_async
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    asked = stored_requests(count)
    texts = [encoded.text for encoded in backend.encoder.encode([r.prompt for r in asked])]
    rows = folder / "requests.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"prompt": text, "output_tokens": request.max_new_tokens}) + "\n"
            for text, request in zip(texts, asked, strict=True)
        )
    )
    assert backend._server is not None
    options = {
        "base-url": backend._server.url,
        "model": BASE,
        "tokenizer": resolve("smollm2").path,
        "dataset-name": "custom",
        "dataset-path": rows,
        "custom-output-len": -1,
        "num-prompts": count,
        "max-concurrency": count,
        "temperature": 1,
    }
    flags = ("ignore-eos", "skip-chat-template", "disable-shuffle", "disable-tqdm")
    parser = FlexibleArgumentParser()
    add_cli_args(parser)
    os.environ["OPENAI_API_KEY"] = backend._server.key
    words = [f"--{name}={value}" for name, value in options.items()] + [f"--{f}" for f in flags]
    with contextlib.redirect_stdout(io.StringIO()):
        found = asyncio.run(main_async(parser.parse_args(words)))
    assert found["completed"] == count
    assert found["total_output_tokens"] == sum(request.max_new_tokens for request in asked)
    return float(found["output_throughput"])


def compared(what: str, ours: Callable[[], float], theirs: Callable[[], float]) -> float:
    """Return the median of how many times as fast ours is."""

    def rested(side: Callable[[], float]) -> float:
        time.sleep(REST)
        return side()

    ours(), theirs()
    pairs = [(rested(ours), rested(theirs)) for _ in range(PAIRS)]
    ratios = sorted(a / b for a, b in pairs)
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"\n{what}: {mine:.0f} against {other:.0f} tokens/s: {ratios[PAIRS // 2]:.2f}x "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f})")  # fmt: skip
    return ratios[PAIRS // 2]


@pytest.mark.parametrize("count", [WAVE, MANY])
def test_our_requests_are_as_fast_as_vllm_bench_serve(
    served: Endless, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")  # put back afterwards
    ratio = compared(
        f"{count} at once through vLLM, against vllm bench serve",
        lambda: rate(served, count),
        lambda: rate_of_vllm_bench(served, count, tmp_path),
    )
    assert ratio >= 0.95


def test_the_transformers_backend_is_as_fast_as_vllm(served: Endless) -> None:
    ratio = compared(
        f"{WAVE} x 1, transformers against vLLM",
        lambda: rate(own(), WAVE),
        lambda: rate(served, WAVE),
    )
    assert ratio >= 1.0


def test_a_merged_adapter_is_as_fast_as_the_base(
    served: Endless, smollm2: str, tmp_path: Path
) -> None:
    adapter, _ = lora(resolve(smollm2).path, tmp_path / "r0001-benchmark", r=8)

    def with_(backend: Endless, adapter: Adapter | None) -> float:
        backend.load(adapter)
        backend.drop_previous()
        return rate(backend, WAVE)

    merged = compared(
        "an adapter merged, against the base",
        lambda: with_(served, adapter),
        lambda: with_(served, None),
    )
    config = VLLMConfig(threads=2, adapters="beside")
    with contextlib.closing(Endless(config, smollm2, tmp_path / "server.log")) as beside:
        compared(
            "an adapter beside the weights, against the base",
            lambda: with_(beside, adapter),
            lambda: with_(served, None),
        )
    assert merged >= 0.95
