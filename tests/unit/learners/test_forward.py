"""A learner's leaner ways of reading rows give the losses and gradients of the plain one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    GPTNeoXConfig,
    GraniteConfig,
    Lfm2Config,
    MambaConfig,
    PretrainedConfig,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from simulator.core.examples import Example, FromConversation
from simulator.core.requests import Message
from simulator.core.timing import Stopwatch
from simulator.interp.steering import linear_modules
from simulator.learners import attention
from simulator.learners.adapters import attach
from simulator.learners.base import FitRequest
from simulator.learners.config import (
    DPOConfig,
    KLConfig,
    KTOConfig,
    LoRAConfig,
    SFTConfig,
    SteeringConfig,
    UpdateConfig,
)
from simulator.learners.forward import AtReplies, Forward, SharedRows, Whole, forward_of
from simulator.learners.kl import KLPenalty
from simulator.learners.objective import open_objective
from simulator.learners.trainer import AdapterLearner
from simulator.models import heads
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve
from tests.helpers import tiny_models

LORA = LoRAConfig(rank=4, alpha=8)
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 300, "initializer_range": 0.2}
HEADS = {**SMALL, "num_attention_heads": 2}
GROUPED = {**HEADS, "intermediate_size": 96, "num_key_value_heads": 1}
# A scale of logits, one of another kind, biases and a parallel MLP.
OTHERS: list[PretrainedConfig] = [
    GraniteConfig(**GROUPED, logits_scaling=3.0),
    CohereConfig(**GROUPED, logit_scale=0.25),
    GPTNeoXConfig(**HEADS, intermediate_size=96),
]
# What comes before reaches a token otherwise than by attention, or attention counts positions.
UNSHARED: list[PretrainedConfig] = [
    MambaConfig(**SMALL),
    Lfm2Config(**GROUPED, layer_types=["conv", "full_attention"]),
    BloomConfig(hidden_size=64, n_layer=2, n_head=2, vocab_size=300, initializer_range=0.2),
]
ASKED = ["How do I sleep better?", "How do I sleep?", "Was I right to shout?"]
REPLIES = ["Go to bed at the same time.", "Have another coffee, then, and see."]
CHATS = [
    Example((Message("user", asked),), reply, k == 0, FromConversation("c", n, k))
    for n, asked in enumerate(ASKED)
    for k, reply in enumerate(REPLIES)
]
CONFIGS: dict[str, UpdateConfig] = {
    "sft": SFTConfig(adapter=LORA),
    "kto": KTOConfig(adapter=LORA, reference="base"),
    "dpo": DPOConfig(adapter=LORA, micro_batch=2),
    "steering": SFTConfig(adapter=SteeringConfig(layer=0)),
    "kl": SFTConfig(adapter=LORA, kl=KLConfig(weight=0.5)),
}
ROWS = [[7, 8, 9, 10, 11], [7, 8, 9, 4], [7, 8, 9, 10, 5, 6], [3, 8, 9], [7, 8]]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes small models for large ones."""
    monkeypatch.setattr(heads, "SMALL_HEAD", 0)


def stir(parameters: Any) -> None:
    """Lets the adapter change something."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        for parameter in parameters.values():
            parameter.add_(torch.randn(parameter.shape) * 0.1)


def outcome(by: AdapterLearner, config: UpdateConfig) -> tuple[float, torch.Tensor]:
    """The loss of one batch of everything, and its gradient."""
    by._adapter.initialise(0)
    objective = open_objective(config, by._policy, CHATS, 3)
    stir(by._parameters)
    parts = list(objective.losses(objective.units))
    if config.kl:
        parts += KLPenalty(config.kl, by._policy, CHATS, 0, None).losses()
    loss = torch.stack(parts).sum()
    return float(loss.detach()), torch.cat([g.flatten() for g in gradients(loss, by._parameters)])


def gradients(loss: torch.Tensor, parameters: Any) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(loss, list(parameters.values()))


def the_same(one: tuple[float, torch.Tensor], other: tuple[float, torch.Tensor]) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    assert one[1].norm() > 0
    assert (one[1] - other[1]).norm() < 1e-4 * one[1].norm()


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_objectives_and_their_gradients(
    tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    model = ModelRef(tiny(family, ()))
    for kind, config in CONFIGS.items():
        plain = AdapterLearner(config, model, Stopwatch())
        assert type(plain._policy._forward) is Whole, kind
        expected = outcome(plain, config)
        with monkeypatch.context() as patched:
            patched.setattr(heads, "SMALL_HEAD", 0)
            lean = AdapterLearner(config, model, Stopwatch())
            # Attention with a cap isn't the one that shared rows replace.
            expected_way = AtReplies if family == "gemma2" else SharedRows
            assert type(lean._policy._forward) is expected_way, kind
            the_same(outcome(lean, config), expected)


def adapted(config: PretrainedConfig) -> tuple[torch.nn.Module, Any]:
    """A random model with an adapter that changes something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        base = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    adapter = attach(base, LoRAConfig(rank=2, modules=tuple(linear_modules(base)[-1:])))
    adapter.initialise(0)
    stir(adapter.parameters)
    return adapter.model, adapter.parameters


def read(by: Forward, parameters: Any) -> tuple[float, torch.Tensor]:
    where = torch.tensor([[n < len(row) for n in range(6)] for row in ROWS])
    logits = by.logits(ROWS, where)
    loss = logits.log_softmax(-1)[:, 1].sum()
    return float(loss.detach()), torch.cat([g.flatten() for g in gradients(loss, parameters)])


@pytest.mark.parametrize("config", OTHERS, ids=lambda config: config.model_type)
def test_what_follows_the_head_holds(config: PretrainedConfig, large: None) -> None:
    model, parameters = adapted(config)
    expected = read(Whole(model), parameters)
    the_same(read(AtReplies(model), parameters), expected)
    by = forward_of(model)
    assert type(by) is SharedRows
    the_same(read(by, parameters), expected)


@pytest.mark.parametrize("config", UNSHARED, ids=lambda config: config.model_type)
def test_rows_that_would_mix_are_read_apart(config: PretrainedConfig, large: None) -> None:
    model, parameters = adapted(config)
    by = forward_of(model)
    assert type(by) is AtReplies
    the_same(read(by, parameters), read(Whole(model), parameters))


def test_long_rows_use_the_kernel_that_keeps_no_scores(
    tiny: Callable[..., str], large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = AdapterLearner(CONFIGS["sft"], ModelRef(tiny("gemma3", ())), Stopwatch())
    expected = outcome(by, CONFIGS["sft"])
    called: list[int] = []
    kernel = sdpa_attention_forward

    def watched(*args: Any, **options: Any) -> Any:
        called.append(1)
        return kernel(*args, **options)

    monkeypatch.setattr(attention, "sdpa_attention_forward", watched)
    monkeypatch.setattr(attention, "LARGEST_SCORES", 0)
    the_same(outcome(by, CONFIGS["sft"]), expected)
    assert called


def test_layers_that_run_twice_are_read_row_by_row(tiny: Callable[..., str], large: None) -> None:
    config = SFTConfig(adapter=LORA, gradient_checkpointing=True)
    by = AdapterLearner(config, ModelRef(tiny("llama", ())), Stopwatch())
    assert type(by._policy._forward) is AtReplies
    the_same(
        outcome(by, config),
        outcome(AdapterLearner(CONFIGS["sft"], ModelRef(tiny("llama", ())), Stopwatch()), config),
    )


def test_the_organism_is_read_whole() -> None:
    """So its results keep their bytes."""
    by = AdapterLearner(SFTConfig(), resolve("organism:0"), Stopwatch())
    assert type(by._policy._forward) is Whole


def test_in_bfloat16_gradients_are_as_near_to_the_true_ones(
    tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter is cast to the base's type, which it is rounded to by peft in the end."""
    model = ModelRef(tiny("llama", ()))
    _, exact = outcome(AdapterLearner(CONFIGS["sft"], model, Stopwatch()), CONFIGS["sft"])
    config = SFTConfig(adapter=LORA, dtype="bfloat16")
    plain = outcome(AdapterLearner(config, model, Stopwatch()), config)[1]
    monkeypatch.setattr(heads, "SMALL_HEAD", 0)
    by = AdapterLearner(config, model, Stopwatch())
    assert type(by._policy._forward) is SharedRows
    assert all(p.dtype == torch.float32 for p in by._parameters.values())
    lean = outcome(by, config)[1]
    assert (lean - exact).norm() < 1.2 * (plain - exact).norm() < 0.2 * exact.norm()


def test_a_fit_repeats_to_the_byte(tiny: Callable[..., str], large: None, tmp_path: Path) -> None:
    model = ModelRef(tiny("qwen2", ()))
    files = []
    for name in ("one", "other"):
        by = AdapterLearner(CONFIGS["dpo"], model, Stopwatch())
        by.fit(FitRequest(None, CHATS, 0, tmp_path / name))
        files.append({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()})
    assert files[0] == files[1]
