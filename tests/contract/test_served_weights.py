"""The weights that a vLLM server has after a merge, read from the server."""

import contextlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from simulator.backends.config import VLLMConfig
from simulator.backends.factory import open_backend
from simulator.backends.vllm import VLLMBackend
from simulator.core.adapters import ADAPTER_WEIGHTS
from simulator.core.timing import Stopwatch
from simulator.models.resolve import resolve
from tests.contract.engines import lora, needs_vllm
from tests.helpers.reading_worker import ReadingWorker

pytestmark = [*needs_vllm, pytest.mark.slow]
LAYER = "model.layers.3.mlp.down_proj"
FLAGS = (
    "--enforce-eager",
    f"--worker-extension-cls={ReadingWorker.__module__}.{ReadingWorker.__name__}",
)


def served_weight(backend: VLLMBackend, file: Path) -> torch.Tensor:
    body = {"method": ReadingWorker.write_weight.__name__, "args": [LAYER, str(file)]}
    backend._endpoint.post("/collective_rpc", body)
    weight: torch.Tensor = load_file(file)["weight"]
    return weight


def test_an_adapter_is_added_in_float32_and_rounded_once(smollm2: str, tmp_path: Path) -> None:
    model = resolve(smollm2)
    base = load_file(Path(model.path) / "model.safetensors")[f"{LAYER}.weight"]
    assert base.dtype == torch.bfloat16
    adapter, _ = lora(model.path, tmp_path / "adapter", target_modules=["down_proj"])
    factors = load_file(adapter.path / ADAPTER_WEIGHTS)
    up, down = (factors[f"base_model.model.{LAYER}.lora_{name}.weight"] for name in "BA")
    change = 1.5 * (up @ down)  # alpha 6 by rank 4
    config = VLLMConfig(dtype="bfloat16", adapters="merged", arguments=FLAGS)
    backend = open_backend(config, model, Stopwatch(), log=tmp_path / "server.log")
    assert isinstance(backend, VLLMBackend)
    with contextlib.closing(backend):
        backend.load(adapter)
        found = served_weight(backend, tmp_path / "merged")
        backend.load(None)
        assert torch.equal(served_weight(backend, tmp_path / "base"), base)
    assert torch.equal(found, (base.float() + change).to(torch.bfloat16))
    assert not torch.equal(found, base + change.to(torch.bfloat16))
