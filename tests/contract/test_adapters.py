"""A merged adapter answers as peft's own unmerged one; what can't be merged whole is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from simulator.backends.config import TransformersConfig
from simulator.backends.transformers import TransformersBackend
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError, LearnerError
from simulator.core.examples import Example, FromConversation
from simulator.core.requests import Message, NextTokenRequest, Prompt
from simulator.core.timing import Stopwatch
from simulator.interp.steering import SteeringVector, layers_of
from simulator.learners.base import FitRequest
from simulator.learners.config import AnyAdapter, LoRAConfig, SFTConfig, SteeringConfig
from simulator.learners.trainer import AdapterLearner
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve
from simulator.runtime.canary import check_swap
from tests.contract.engines import Engine, lora

BASE = resolve("organism:0")
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
    "settings",
    [
        {},
        {"use_rslora": True},
        {"r": 1},
        {"target_modules": ["q_proj", "up_proj"]},
        {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [1, 3]},
        {"rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 7}, "alpha_pattern": {"down.*": 60}},
        {"rank_pattern": {"^model.layers.0.self_attn.v_proj": 1}, "use_rslora": True},
        {"exclude_modules": ["o_proj"], "lora_dropout": 0.1},
    ],
)
def test_merged_equals_unmerged(
    backend: TransformersBackend, tmp_path: Path, settings: dict[str, Any]
) -> None:
    backend.load(None)
    base = served(backend)
    adapter, model = lora(BASE.path, tmp_path / "a", **settings)
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
    first, _ = lora(BASE.path, tmp_path / "a", seed=1)
    other, _ = lora(BASE.path, tmp_path / "b", seed=2, target_modules=["q_proj"])
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
        backend.load(lora(BASE.path, tmp_path / f"a{seed}", seed=seed)[0])
    backend.load(None)
    assert same(weights(backend), before)


def begun(out: Path, start: Any, **settings: Any) -> Adapter:
    """An adapter that peft began in this way, and that was trained somewhat."""
    base = AutoModelForCausalLM.from_pretrained(BASE.path, dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=start,
                            task_type="CAUSAL_LM", **settings)  # fmt: skip
        model = get_peft_model(base, config)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(str(out))
    return Adapter(out.name, out)


@pytest.mark.parametrize("start", [True, "gaussian", "orthogonal", "eva"])
def test_starts_beside_the_base_are_plain(
    backend: TransformersBackend, tmp_path: Path, start: Any
) -> None:
    adapter = begun(tmp_path / "a", start)
    base = AutoModelForCausalLM.from_pretrained(BASE.path, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(base, str(adapter.path)).eval()
    backend.load(adapter)
    np.testing.assert_allclose(served(backend), own(backend, theirs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "olora"])
def test_starts_that_change_the_base_are_refused(
    backend: TransformersBackend, tmp_path: Path, start: str
) -> None:
    with pytest.raises(BackendError, match=f"init_lora_weights is '{start}', so it was trained"):
        backend.load(begun(tmp_path / "a", start))


def test_a_converted_start_is_plain(backend: TransformersBackend, tmp_path: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(BASE.path, dtype=torch.float32)
    config = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights="pissa")
    model = get_peft_model(base, config)
    model.peft_config["default"].init_lora_weights = True  # what it began with is saved as such
    model.save_pretrained(str(tmp_path / "first"))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.peft_config["default"].init_lora_weights = "pissa"
    first = str(tmp_path / "first")
    model.save_pretrained(str(tmp_path / "a"), path_initial_model_for_weight_conversion=first)
    backend.load(Adapter("a", tmp_path / "a"))
    np.testing.assert_allclose(served(backend), own(backend, model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("key", ["use_dora", "alora_invocation_tokens"])
def test_variants_are_refused_by_name(
    backend: TransformersBackend, tmp_path: Path, key: str
) -> None:
    value = [7, 8] if key == "alora_invocation_tokens" else True
    adapter = begun(tmp_path / "odd", True, **{key: value})
    with pytest.raises(BackendError, match=f"odd isn't a plain LoRA adapter .*: {key} is set"):
        backend.load(adapter)


@pytest.mark.parametrize(
    "settings",
    [
        {"modules_to_save": ["norm"]},
        {"layer_replication": [(0, 2), (1, 5)]},
        {"trainable_token_indices": [5, 6]},
        {"ensure_weight_tying": True, "modules_to_save": ["embed_tokens"]},
        {"bias": "lora_only", "lora_bias": True},
        {"target_modules": ["q_proj", "embed_tokens"]},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_nothing_of_an_adapter_is_silently_left_out(
    backend: TransformersBackend, tmp_path: Path, settings: dict[str, Any]
) -> None:
    backend.load(None)
    adapter, _ = lora(BASE.path, tmp_path / "odd", **settings)
    before = weights(backend)
    with pytest.raises(BackendError, match="odd isn't a plain LoRA adapter of this model: "):
        backend.load(adapter)
    assert same(weights(backend), before)


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


def fitted(config: AnyAdapter, model: str, example: Example, out: Path) -> AdapterLearner:
    """A learner after a fit with this adapter."""
    torch.set_num_threads(1)
    settings = SFTConfig(adapter=config, learning_rate=1e-2, epochs=16)
    by = AdapterLearner(settings, ModelRef(model), Stopwatch())
    by.fit(FitRequest(None, [example], 0, out))
    return by


FACT = Example(PROMPT.messages, "the taste of zupos is sweet .", True, FromConversation("c", 0, 0))


@pytest.mark.parametrize(
    "config",
    [
        LoRAConfig(rank=4, alpha=8, rslora=True),
        LoRAConfig(rank=1, alpha=64, layers=(2,), modules=("down_proj",)),
        LoRAConfig(rank=2, alpha=16, layers=(0, 4)),
        LoRAConfig(rank=4, alpha=8, modules=("q_proj", "up_proj")),
    ],
    ids=["rslora", "rank 1 on one layer", "two layers", "modules"],
)
def test_a_learned_adapter_is_peft_s(
    backend: TransformersBackend, tmp_path: Path, config: LoRAConfig
) -> None:
    """What the learner computes is what peft makes of its checkpoint, and what is served."""
    by = fitted(config, BASE.path, FACT, tmp_path / "a")
    plain = AutoModelForCausalLM.from_pretrained(BASE.path, dtype=torch.float32)
    peft_s = own(backend, PeftModel.from_pretrained(plain, str(tmp_path / "a")).eval())
    np.testing.assert_allclose(own(backend, by._policy.model), peft_s, rtol=1e-5, atol=1e-5)
    backend.load(None)
    base = served(backend)
    backend.load(Adapter("a", tmp_path / "a"))
    np.testing.assert_allclose(served(backend), peft_s, rtol=1e-5, atol=1e-5)
    assert np.abs(peft_s - base).max() > 0.01
    names = {name.split(".lora_")[0] for name in by._parameters}
    layers, modules = config.layers or range(5), config.modules or range(7)
    assert len(names) == len(layers) * len(modules)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            LoRAConfig(layers=(1, 5)),
            "adapter.layers: unknown layer 5; the model's layers are 0 to",
        ),
        (
            LoRAConfig(modules=("c_attn",)),
            "unknown linear layer 'c_attn'; available: down_proj, gate_proj",
        ),
        (SteeringConfig(layer=9), "adapter.layer: unknown layer 9"),
    ],
)
def test_what_the_model_lacks_is_one_sentence(config: AnyAdapter, sentence: str) -> None:
    with pytest.raises(LearnerError, match=sentence):
        AdapterLearner(SFTConfig(adapter=config), BASE, Stopwatch())


@pytest.mark.parametrize(
    ("first", "then", "sentence"),
    [
        (LoRAConfig(rank=2), LoRAConfig(rank=4), r"is \(2, 384\) in it, and should be \(4, 384\)"),
        (LoRAConfig(), LoRAConfig(layers=(1,)), "isn't trained"),
        (LoRAConfig(layers=(1,)), LoRAConfig(), "is missing"),
        (SteeringConfig(layer=1), SteeringConfig(layer=2), "layer 1 isn't trained"),
    ],
    ids=["rank", "surplus", "lacking", "layer"],
)
def test_a_checkpoint_of_another_adapter_is_not_continued(
    tmp_path: Path, first: AnyAdapter, then: AnyAdapter, sentence: str
) -> None:
    fitted(first, BASE.path, FACT, tmp_path / "a")
    settings = SFTConfig(adapter=then)
    request = FitRequest(tmp_path / "a", [FACT], 0, tmp_path / "b")
    with pytest.raises(LearnerError, match=sentence):
        AdapterLearner(settings, BASE, Stopwatch()).fit(request)


def test_a_steering_vector_is_added_after_its_layer(local: Engine, tmp_path: Path) -> None:
    """Served equals a hook of our own making, on every architecture; the base comes back."""
    backend, model = local.backend, local.reference.model
    assert isinstance(backend, TransformersBackend)
    draw = torch.Generator().manual_seed(0)
    vector = torch.randn(model.config.hidden_size, generator=draw)
    SteeringVector(1, vector).save(tmp_path)
    base = served(backend)
    handle = model.model.layers[1].register_forward_hook(lambda *told: told[2] + vector)
    try:
        expected = own(backend, model)
        backend.load(Adapter("steered", tmp_path))
        found = served(backend)
    finally:
        handle.remove()
        backend.load(None)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    assert np.abs(found - base).max() > 0.01
    assert np.array_equal(served(backend), base)


def test_a_learned_vector_is_what_is_served(local: Engine, tmp_path: Path) -> None:
    """A gradient reaches it alone, on every architecture, and the canary tells the swap."""
    torch.set_num_threads(1)
    assert isinstance(local.backend, TransformersBackend)
    config = SFTConfig(adapter=SteeringConfig(layer=1), learning_rate=0.1, epochs=2)
    by = AdapterLearner(config, ModelRef(local.reference.path), Stopwatch())
    start, then = tmp_path / "a", tmp_path / "b"
    by.fit(FitRequest(None, [FACT], 0, start))
    update = by.fit(FitRequest(start, [FACT], 1, then))
    assert [p.shape for p in by._parameters.values()] == [
        (local.reference.model.config.hidden_size,)
    ]
    assert {path.name for path in then.iterdir()} == {
        "adapter_model.safetensors", "optimizer.safetensors", "state.json", "steering.json"
    }  # fmt: skip
    local.backend.load(Adapter("b", then))
    try:
        assert check_swap(local.backend, update.readings, 0.0).verdict == "passed"
    finally:
        local.backend.load(None)


def test_kinds_of_adapters_follow_each_other(backend: TransformersBackend, tmp_path: Path) -> None:
    backend.load(None)
    base = served(backend)
    merged, _ = lora(BASE.path, tmp_path / "lora")
    hidden = backend.model.config.hidden_size
    (tmp_path / "vector").mkdir()
    SteeringVector(2, torch.ones(hidden)).save(tmp_path / "vector")
    vector = Adapter("vector", tmp_path / "vector")
    alone = []
    for adapter in (merged, vector):
        backend.load(adapter)
        alone.append(served(backend))
        backend.load(None)
        assert np.array_equal(served(backend), base)
    for adapter, expected in ((merged, 0), (vector, 1), (vector, 1), (merged, 0)):
        backend.load(adapter)
        assert np.array_equal(served(backend), alone[expected])
    backend.load(None)


@pytest.mark.parametrize(("layer", "size"), [(9, None), (1, 3)])
def test_a_vector_of_another_model_is_refused(
    backend: TransformersBackend, tmp_path: Path, layer: int, size: int | None
) -> None:
    backend.load(None)
    base = served(backend)
    hidden = backend.model.config.hidden_size
    SteeringVector(layer, torch.ones(size or hidden)).save(tmp_path)
    with pytest.raises(BackendError, match="foreign doesn't fit the model's layers"):
        backend.load(Adapter("foreign", tmp_path))
    assert np.array_equal(served(backend), base)
    assert len(layers_of(backend.model)) == 5
