"""Models of real size with random weights: decoding, an update, and memory, on a GPU.

Weights don't matter for speed. The toy shape runs on any machine and shows that the rest would.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from simulator.backends.config import TransformersConfig
from simulator.backends.prefill import left_padded, positions_of
from simulator.backends.transformers import TransformersBackend
from simulator.core.examples import Example, FromFile
from simulator.core.requests import GenerationRequest, Message, Prompt
from simulator.core.timing import Stopwatch
from simulator.learners.base import FitRequest
from simulator.learners.config import SFTConfig
from simulator.learners.trainer import AdapterLearner
from simulator.models.reference import ModelRef
from tests.helpers import tiny_models

REPEATS = 3
TEXT = "I have a photo on my phone of a man and a van outside our school. What should I do? "
QWEN = {"max_position_embeddings": 32768, "initializer_range": 0.02, "dtype": torch.bfloat16}
SHAPES: dict[str, dict[str, Any]] = {
    "toy": {**tiny_models.SHAPE},
    "0.5B": {
        **QWEN, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
        "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151_936,
    },
    "7B": {
        **QWEN, "hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152_064,
        "tie_word_embeddings": False,
    },
}  # fmt: skip
# Rows decoded together, new tokens, examples of an update.
SIZES = {"toy": (8, 12, 16), "0.5B": (256, 128, 256), "7B": (128, 128, 256)}
needs_gpu = (
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
)


@pytest.fixture(params=["toy", *(pytest.param(n, marks=needs_gpu) for n in ("0.5B", "7B"))])
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(shape: str, tmp_path: Path) -> str:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return tiny_models.build("qwen2", tmp_path / shape, shape=SHAPES[shape], device=device)


def seconds(run: Callable[[], object]) -> float:
    """Wall time, the device's work included."""
    started = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def prompts(count: int) -> list[Prompt]:
    return [Prompt((Message("user", TEXT * (1 + n % 3)),)) for n in range(count)]


@torch.inference_mode()
def bare(backend: TransformersBackend, ids: list[list[int]], tokens: int) -> None:
    """Greedy decoding with nothing around it: a growing cache, no sampling, no ends, no texts."""
    model = backend.model
    batch, mask = (tensor.to(model.device) for tensor in left_padded(ids, 0))
    cache, positions = DynamicCache(config=model.config), positions_of(mask)
    for _ in range(tokens):
        logits = model(
            input_ids=batch, attention_mask=mask, position_ids=positions, past_key_values=cache,
            use_cache=True, logits_to_keep=1,
        ).logits  # fmt: skip
        batch = logits[:, -1].argmax(-1, keepdim=True)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], -1)
        positions = positions[:, -1:] + 1


def test_decoding_keeps_up_with_bare_forward_passes(shape: str, path: str) -> None:
    rows, tokens, _ = SIZES[shape]
    config = TransformersConfig(batch_size=rows)
    backend = TransformersBackend(config, ModelRef(path), Stopwatch())
    asked = [GenerationRequest(p, (("gpu", n),), tokens) for n, p in enumerate(prompts(rows))]
    ids = [encoded.ids for encoded in backend.encoder.encode(prompts(rows))]
    found = backend.generate(asked)  # and warms up
    drawn = sum(c.tokens for g in found for c in g.completions)
    bare(backend, ids, tokens)
    ratios = []
    for _ in range(REPEATS):
        ours = drawn / seconds(lambda: backend.generate(asked))
        theirs = rows * tokens / seconds(lambda: bare(backend, ids, tokens))
        ratios.append(ours / theirs)
    ratio = sorted(ratios)[REPEATS // 2]
    print(f"\n{shape}: {ours:,.0f} tokens/s, bare {theirs:,.0f}: {ratio:.2f}")
    assert drawn > rows
    if shape != "toy":
        assert ratio >= 0.9


def test_an_update_fits(shape: str, path: str, tmp_path: Path) -> None:
    *_, count = SIZES[shape]
    cuda = torch.cuda.is_available()
    config = SFTConfig(
        epochs=1,
        device="cuda" if cuda else "cpu",
        dtype="bfloat16" if cuda else "float32",
    )
    learner = AdapterLearner(config, ModelRef(path), Stopwatch())
    examples = [
        Example(p.messages, TEXT, True, FromFile("x", n)) for n, p in enumerate(prompts(count))
    ]
    learner.fit(FitRequest(None, examples, 0, tmp_path / "warm"))
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    spent = seconds(
        lambda: learner.fit(FitRequest(tmp_path / "warm", examples, 1, tmp_path / "next"))
    )
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else float("nan")
    print(f"\n{shape}: {count} examples in {spent:.2f} s, peak {peak:.1f} GiB")
    assert (tmp_path / "next" / "adapter_model.safetensors").is_file()
