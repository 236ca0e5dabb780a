"""Devices are named before anything is loaded on them, and mistakes are sentences."""

import pytest
import torch
from pydantic import ValidationError
from transformers import LlamaConfig

from simulator.backends.config import TransformersConfig
from simulator.backends.factory import open_backend
from simulator.core.errors import BackendError
from simulator.core.timing import Stopwatch
from simulator.models.devices import device_of, dtype_of, usable_device
from simulator.models.pretrained import load_config
from simulator.models.resolve import resolve


def test_a_device_needn_t_be_here_to_be_planned_with() -> None:
    assert device_of("cuda:99").index == 99
    assert usable_device("cpu") == device_of("cpu")


def test_a_device_that_is_not_here_is_named() -> None:
    with pytest.raises(BackendError, match="device 'cuda:99' isn't available here: "):
        open_backend(TransformersConfig(device="cuda:99"), resolve("organism:0"), Stopwatch())


def test_a_name_of_no_device_is_refused() -> None:
    invalid = "invalid device 'gpu'; use cpu, cuda or cuda:N"
    with pytest.raises(BackendError, match=invalid):
        usable_device("gpu")
    with pytest.raises(ValidationError, match=invalid):
        TransformersConfig(device="gpu")


LARGE = {"hidden_size": 576, "vocab_size": 49_152}
SMALL = {"hidden_size": 128, "vocab_size": 607}


@pytest.mark.parametrize(
    ("chosen", "shape", "stored", "fast", "expected"),
    [
        ("auto", LARGE, torch.bfloat16, True, torch.bfloat16),
        ("auto", LARGE, torch.bfloat16, False, torch.float32),
        ("auto", LARGE, torch.float32, True, torch.float32),
        ("auto", LARGE, None, True, torch.float32),
        ("auto", SMALL, torch.bfloat16, True, torch.float32),
        ("float32", LARGE, torch.bfloat16, True, torch.float32),
        ("bfloat16", SMALL, torch.float32, False, torch.bfloat16),
    ],
)
def test_auto_is_bfloat16_where_it_is_fast_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    shape: dict[str, int],
    stored: torch.dtype | None,
    fast: bool,
    expected: torch.dtype,
) -> None:
    capabilities = {"avx512_bf16": fast, "avx2": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    config = LlamaConfig(**shape, dtype=stored)
    assert dtype_of(chosen, device_of("cpu"), config) == expected
    assert dtype_of("auto", device_of("cuda"), config) == "auto"


def test_the_organism_stays_in_float32() -> None:
    config = load_config(resolve("organism:0"))
    assert dtype_of("auto", device_of("cpu"), config) == torch.float32
