"""A run goes on in the type of weights that it began with."""

import pytest
import torch

from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.experiments.dtypes import dtype_here, with_dtype
from simulator.models import heads


def scenario(*settings: str) -> Scenario:
    return load("quickstart", overrides=["backend.dtype=auto", *settings])


def test_the_organism_s_type_is_written_down() -> None:
    assert dtype_here(scenario()) == "float32"
    assert dtype_here(scenario("backend.dtype=bfloat16")) == "bfloat16"
    assert dtype_here(scenario().model_copy(update={"model": "/nowhere"})) is None


def test_a_large_model_s_type_depends_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.models.devices.SMALL_HEAD", 0)
    assert heads.SMALL_HEAD  # of the other module
    for fast, expected in ((True, "bfloat16"), (False, "float32")):
        found = {"avx512_bf16": fast}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found)
        assert dtype_here(scenario()) == expected


@pytest.mark.parametrize(
    ("settings", "kept", "expected"),
    [
        ((), "bfloat16", "bfloat16"),
        ((), None, "auto"),
        (("backend.dtype=float32",), "bfloat16", "float32"),
        (("backend.device=cuda",), "float32", "auto"),
    ],
)
def test_a_resumed_run_keeps_its_type(
    settings: tuple[str, ...], kept: str | None, expected: str
) -> None:
    assert getattr(with_dtype(scenario(*settings), kept).backend, "dtype", "") == expected
