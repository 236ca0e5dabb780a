"""The head at chosen tokens gives the logits that the whole forward gives there."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    FalconConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    OPTConfig,
    PhiConfig,
    PretrainedConfig,
)

from simulator.models.heads import logits_at
from tests.helpers import tiny_models

SMALL = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 200}
LLAMA = {**SMALL, "intermediate_size": 48, "num_key_value_heads": 1}
OTHERS: list[PretrainedConfig] = [
    GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=200),
    GPTNeoXConfig(**SMALL, intermediate_size=48),
    GraniteConfig(**LLAMA, logits_scaling=3.0),
    CohereConfig(**LLAMA, logit_scale=0.25),
    BloomConfig(hidden_size=32, n_layer=1, n_head=2, vocab_size=200),
    FalconConfig(**SMALL),
    OPTConfig(**SMALL, ffn_dim=48, word_embed_proj_dim=32),
    PhiConfig(**SMALL, intermediate_size=48),  # a head with a bias
]
IDS = torch.arange(24).reshape(3, 8) + 5
ROWS, POSITIONS = torch.tensor([0, 0, 2, 1, 2]), torch.tensor([7, 3, 0, 5, 7])


def check(model: Any) -> None:
    inputs = {"input_ids": IDS, "use_cache": False}
    whole = model(**inputs).logits
    assert whole.std() > 0.01
    found = logits_at(model, ROWS, POSITIONS, **inputs)
    torch.testing.assert_close(found, whole[ROWS, POSITIONS])
    torch.testing.assert_close(model(**inputs).logits, whole)  # nothing is left behind


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_families_with_tokenizers(tmp_path: Path, family: str) -> None:
    with torch.no_grad():
        check(AutoModelForCausalLM.from_pretrained(tiny_models.build(family, tmp_path)))


@pytest.mark.parametrize("config", OTHERS, ids=lambda config: config.model_type)
def test_other_architectures(config: PretrainedConfig) -> None:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        check(AutoModelForCausalLM.from_config(config).eval())


def test_an_error_leaves_no_hook_behind(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_models.build("llama", tmp_path))
    with torch.no_grad():
        with pytest.raises(IndexError):
            logits_at(model, ROWS, POSITIONS + 8, input_ids=IDS)
        check(model)
