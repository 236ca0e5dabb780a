"""Packed weights give the products of plain ones."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from simulator.backends import packing
from simulator.backends.beside import Beside
from simulator.backends.merging import Change

NAME = "model.layers.0.mlp.up_proj.weight"


def made(dtype: torch.dtype) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=40_000, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, attention_bias=True,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config).to(dtype).eval().requires_grad_(False)
    return model


def packed(model: LlamaForCausalLM) -> int:
    packing.pack_linears(model)
    return sum("forward" in module.__dict__ for module in model.modules())


@pytest.mark.parametrize("rows", [1, 3, 200])
def test_products_are_the_same_with_and_without_adapter(rows: int) -> None:
    model, ids = made(torch.bfloat16), torch.arange(5, 5 + 4 * rows).view(rows, 4) % 40_000
    change = {NAME: Change(torch.ones(48, 2), torch.ones(2, 32), 0.1)}
    with torch.inference_mode():
        before = model(ids).logits
        assert packed(model) == 14
        torch.testing.assert_close(model(ids).logits, before, rtol=2e-2, atol=2e-3)
        Beside(model).replace(change)
        changed = model(ids).logits
        assert (changed - before).abs().max() > 0.01


def test_a_model_into_which_adapters_are_merged_stays() -> None:
    assert packed(made(torch.float32)) == 0


def test_a_model_whose_copy_would_take_much_memory_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LARGEST", 1000)
    assert packed(made(torch.bfloat16)) == 0


def test_no_rows_have_no_products() -> None:
    model = made(torch.bfloat16)
    packing.pack_linears(model)
    with torch.inference_mode():
        assert model.model.layers[0].mlp.up_proj(torch.zeros(0, 32).bfloat16()).shape == (0, 48)
