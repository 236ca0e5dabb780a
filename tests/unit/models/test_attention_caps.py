"""A cap on attention holds, whichever attention transformers would choose."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from simulator.core.errors import BackendError
from simulator.models.pretrained import load_causal_lm
from simulator.models.reference import ModelRef
from tests.helpers import tiny_models

CAPPED = {"attn_logit_softcapping": 0.01}  # so low that it matters


@pytest.fixture(scope="module")
def capped(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_models.build(
        "gemma2", tmp_path_factory.mktemp("capped"), shape={**tiny_models.SHAPE, **CAPPED}
    )


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    found: torch.Tensor = model(torch.arange(3, 40)[None]).logits
    return found


def test_the_cap_of_gemma_holds(capped: str) -> None:
    expected, without = (
        logits(AutoModelForCausalLM.from_pretrained(capped, attn_implementation=kind))
        for kind in ("eager", "sdpa")
    )
    assert (expected - without).abs().max() > 0.01  # what transformers gives by itself
    assert torch.equal(logits(load_causal_lm(ModelRef(capped))), expected)


def test_an_attention_that_leaves_it_out_is_refused(capped: str) -> None:
    with pytest.raises(BackendError, match=r"'sdpa' leaves out the cap .* use auto or eager"):
        load_causal_lm(ModelRef(capped), attn_implementation="sdpa")


def test_other_models_attend_as_before(tmp_path: Path) -> None:
    path = tiny_models.build("qwen2", tmp_path)
    assert load_causal_lm(ModelRef(path)).config._attn_implementation == "sdpa"
