"""A run goes on in the type of weights that it began with."""

from pathlib import Path

import pytest
import torch

from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.models import heads
from simulator.runtime.dtypes import dtype_here, scenario_of, with_dtype
from simulator.store.earlier_formats import FORMAT
from simulator.store.run import Run


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
    ("settings", "kept", "engine", "learner"),
    [
        ((), "bfloat16", "bfloat16", "bfloat16"),
        ((), None, "auto", "auto"),
        ((), "float16", "float16", "auto"),
        (("backend.dtype=float32",), "float32", "float32", "float32"),
        (("learner.dtype=float32",), "bfloat16", "bfloat16", "float32"),
        (("backend.device=cuda", "learner.device=cuda"), "float32", "auto", "auto"),
    ],
)
def test_a_resumed_run_keeps_its_type(
    settings: tuple[str, ...], kept: str | None, engine: str, learner: str
) -> None:
    found = with_dtype(scenario(*settings), kept)
    assert getattr(found.backend, "dtype", "") == engine
    assert getattr(found.learner, "dtype", "") == learner


def test_phases_keep_their_learners_type() -> None:
    phases = [{"kind": "loop", "learner": {"kind": "sft"}}, {"kind": "loop"}, {"kind": "probe"}]
    given = load("quickstart", options={"phases": phases})
    found = with_dtype(given, "bfloat16").phases
    assert getattr(getattr(found[0], "learner", None), "dtype", "") == "bfloat16"
    assert found[1:] == given.phases[1:]


def test_a_finished_run_is_asked_in_its_type(tmp_path: Path) -> None:
    settings = scenario().model_dump(mode="json")
    run = Run.create(tmp_path / "run", settings, {"format": FORMAT, "dtype": "bfloat16"})
    assert getattr(scenario_of(run).backend, "dtype", "") == "bfloat16"
