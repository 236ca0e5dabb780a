"""A merged adapter answers as peft's own unmerged one; what can't be merged whole is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from simulator import models
from simulator.backends.base import TransformersConfig
from simulator.backends.transformers import TransformersBackend
from simulator.errors import BackendError
from simulator.stopwatch import Stopwatch
from simulator.types import Adapter, Message, NextTokenRequest, Prompt
from tests.contract.engines import Engine, lora

BASE = models.resolve("organism:0")
PROMPT = Prompt((Message("user", "what is the taste of zupos ?"),))
WORDS = range(4, 400)  # ids


@pytest.fixture(scope="module")
def backend() -> TransformersBackend:
    return TransformersBackend(TransformersConfig(threads=1), BASE, Stopwatch())


def served(backend: TransformersBackend) -> np.ndarray:
    words = backend.tokenizer.convert_ids_to_tokens(list(WORDS))
    return np.array(backend.next_token_logprobs([NextTokenRequest(PROMPT, tuple(words))])[0])


def own(backend: TransformersBackend, model: torch.nn.Module) -> np.ndarray:
    ids = torch.tensor([backend.encoder.encode([PROMPT])[0].ids])
    with torch.inference_mode():
        return torch.log_softmax(model(input_ids=ids).logits[0, -1], -1)[list(WORDS)].numpy()


def weights(backend: TransformersBackend) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in backend.model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "settings", [{}, {"use_rslora": True}, {"r": 1}, {"target_modules": ["q_proj", "up_proj"]}]
)
def test_merged_equals_unmerged(
    backend: TransformersBackend, tmp_path: Path, settings: dict[str, Any]
) -> None:
    backend.load(None)
    base = served(backend)
    adapter, model = lora(BASE, tmp_path / "a", **settings)
    backend.load(adapter)
    found = served(backend)
    np.testing.assert_allclose(found, own(backend, model), rtol=1e-5, atol=1e-5)
    assert np.abs(found - base).max() > 0.01  # the adapter matters


def test_merged_equals_unmerged_on_every_architecture(local: Engine, tmp_path: Path) -> None:
    backend = local.backend
    assert isinstance(backend, TransformersBackend)
    adapter, model = lora(local.reference.path, tmp_path / "a")
    base = served(backend)
    backend.load(adapter)
    try:
        found = served(backend)
    finally:
        backend.load(None)
    np.testing.assert_allclose(found, own(backend, model), rtol=1e-5, atol=1e-4)
    assert np.abs(found - base).max() > 0.01


def test_the_base_comes_back_bit_for_bit(backend: TransformersBackend, tmp_path: Path) -> None:
    backend.load(None)
    before = weights(backend)
    first, _ = lora(BASE, tmp_path / "a", seed=1)
    other, _ = lora(BASE, tmp_path / "b", seed=2, target_modules=["q_proj"])
    backend.load(first)
    merged = weights(backend)
    assert not same(merged, before)
    backend.load(first)  # twice is not twice as much
    assert same(weights(backend), merged)
    backend.load(other)
    assert not same(weights(backend), merged)
    backend.load(first)
    assert same(weights(backend), merged)
    backend.load(None)
    assert same(weights(backend), before)


def test_the_base_answers_for_a_while_without_reading_the_adapter_again(
    local: Engine, tmp_path: Path
) -> None:
    backend = local.backend
    assert isinstance(backend, TransformersBackend)
    before = weights(backend)
    adapter, _ = lora(local.reference.path, tmp_path / "a")
    backend.load(adapter)
    merged = weights(backend)
    shutil.rmtree(adapter.path)
    for _ in range(2):
        with backend.without_adapter():
            assert same(weights(backend), before)
        assert same(weights(backend), merged)
    backend.load(None)
    assert same(weights(backend), before)


def test_low_precision_is_restored_too(tmp_path: Path) -> None:
    backend = TransformersBackend(TransformersConfig(dtype="bfloat16"), BASE, Stopwatch())
    before = weights(backend)
    for seed in range(3):
        backend.load(lora(BASE, tmp_path / f"a{seed}", seed=seed)[0])
    backend.load(None)
    assert same(weights(backend), before)


def test_dora_is_refused(backend: TransformersBackend, tmp_path: Path) -> None:
    adapter, _ = lora(BASE, tmp_path / "dora", use_dora=True)
    with pytest.raises(BackendError, match="dora isn't a plain LoRA adapter"):
        backend.load(adapter)


@pytest.mark.parametrize(
    "settings",
    [
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"q_proj": 60}},
        {"modules_to_save": ["norm"]},
        {"bias": "lora_only", "lora_bias": True},
        {"target_modules": ["q_proj", "embed_tokens"]},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_nothing_of_an_adapter_is_silently_left_out(
    backend: TransformersBackend, tmp_path: Path, settings: dict[str, Any]
) -> None:
    adapter, model = lora(BASE, tmp_path / "odd", **settings)
    try:
        backend.load(adapter)
    except BackendError:
        return
    np.testing.assert_allclose(served(backend), own(backend, model), rtol=1e-5, atol=1e-5)


def test_an_adapter_of_another_model_is_refused(
    backend: TransformersBackend, tmp_path: Path
) -> None:
    backend.load(None)
    before = weights(backend)
    config = LlamaConfig(vocab_size=400, hidden_size=64, intermediate_size=64,
                         num_hidden_layers=7, num_attention_heads=2)  # fmt: skip
    other = get_peft_model(LlamaForCausalLM(config), LoraConfig(target_modules="all-linear"))
    other.save_pretrained(str(tmp_path / "foreign"))
    with pytest.raises(BackendError, match="foreign"):
        backend.load(Adapter("foreign", tmp_path / "foreign"))
    backend.load(None)
    assert same(weights(backend), before)
