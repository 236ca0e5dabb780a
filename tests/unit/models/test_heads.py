"""The head is applied at the read positions, and what a family does to logits stays."""

from functools import cache
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from simulator.models.heads import SMALL_HEAD, logits_at

HIDDEN = 32
LARGE, SMALL = 40_000, 900
LINES, POSITIONS = torch.tensor([0, 0, 1, 2]), torch.tensor([4, 6, 6, 2])
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma2": {"final_logit_softcapping": 2.0},
    "granite": {"logits_scaling": 4.0},
    "cohere": {"logit_scale": 0.25},
    "phi": {},  # a head with a bias
    "gpt2": {"n_embd": HIDDEN, "n_layer": 2, "n_head": 2},
    "gpt_neox": {},
    "bloom": {},
    "opt": {"word_embed_proj_dim": HIDDEN, "ffn_dim": 48},
}


@cache
def made(family: str, vocabulary: int, dtype: torch.dtype) -> PreTrainedModel:
    config = AutoConfig.for_model(
        family, vocab_size=vocabulary, hidden_size=HIDDEN, intermediate_size=48, head_dim=16,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, **FAMILIES[family],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        if model.get_output_embeddings().bias is not None:
            torch.nn.init.normal_(model.get_output_embeddings().bias)
    return model.eval().requires_grad_(False)


def read(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        return logits_at(model, LINES, POSITIONS, input_ids=ids(), use_cache=False)


def ids() -> torch.Tensor:
    return torch.arange(5, 26).view(3, 7)


@pytest.mark.parametrize(
    ("vocabulary", "dtype"),
    [(LARGE, torch.float32), (LARGE, torch.bfloat16), (SMALL, torch.float32)],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_whole_model(
    family: str, vocabulary: int, dtype: torch.dtype
) -> None:
    model = made(family, vocabulary, dtype)
    with torch.inference_mode():
        whole = model(input_ids=ids(), use_cache=False).logits[LINES, POSITIONS]
    found = read(model)
    assert found.dtype == whole.dtype
    torch.testing.assert_close(found, whole, rtol=1e-5 if dtype == torch.float32 else 2e-2,
                               atol=1e-5 if dtype == torch.float32 else 2e-2)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_large_head_reads_a_contiguous_matrix_of_the_read_states(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(family, LARGE, torch.bfloat16)
    seen: list[torch.Tensor] = []

    def noted(hidden: torch.Tensor) -> torch.Tensor:
        seen.append(hidden)
        return hidden

    monkeypatch.setattr(model.get_output_embeddings(), "forward", noted)
    read(model)
    (hidden,) = seen
    assert hidden.shape == (1, len(LINES), HIDDEN)
    assert hidden.is_contiguous()


def test_a_small_head_rounds_each_row_alone() -> None:
    """So that the scores of a small model don't depend on the batch, to the bit."""
    model = made("llama", SMALL, torch.float32)
    assert model.get_output_embeddings().weight.numel() <= SMALL_HEAD
    with torch.inference_mode():
        hidden = model.model(input_ids=ids()).last_hidden_state
        expected = model.lm_head(hidden[:, -5:])[LINES, POSITIONS - 2]
    assert torch.equal(read(model), expected)


class Plain(torch.nn.Module):
    """A model of somebody's own: its forward knows no `logits_to_keep`."""

    def __init__(self, inner: PreTrainedModel, flat: bool) -> None:
        super().__init__()
        self.inner, self.flat = inner, flat

    def get_output_embeddings(self) -> torch.nn.Module:
        head: torch.nn.Module = self.inner.get_output_embeddings()
        return head

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        found = self.inner.base_model(input_ids=input_ids, use_cache=use_cache)
        hidden, head = found.last_hidden_state, self.inner.get_output_embeddings()
        rows = hidden.flatten(0, 1) if self.flat else hidden
        found.logits = head(rows).view(*hidden.shape[:2], -1) if self.flat else head(rows)
        return found


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("vocabulary", [LARGE, SMALL])
def test_a_model_without_logits_to_keep_is_read_too(vocabulary: int, flat: bool) -> None:
    inner = made("llama", vocabulary, torch.float32)
    found = read(Plain(inner, flat))
    torch.testing.assert_close(found, read(inner))
