"""What runs need of a machine, and how many fit."""

import pytest

from simulator.config.loading import load
from simulator.core.errors import ScenarioError
from simulator.experiments.placement import Machine, Needs, at_once, needs_of, shares_of_gpus

GIB = 2**30
EIGHT = tuple(str(n) for n in range(8))


def test_an_organism_needs_cores_alone() -> None:
    needs = needs_of(load(overrides=["backend.threads=3"]), share=0.5)
    assert (needs.cores, needs.gpus) == (3, 0)
    assert 0.5 * GIB < needs.memory < 4 * GIB


@pytest.mark.parametrize(
    ("overrides", "share", "gpus"),
    [
        (["backend={kind: vllm, tensor_parallel: 4}"], None, 4),
        (["backend={kind: vllm}"], None, 1),
        (["backend={kind: vllm}"], 0.5, 0.5),  # asked for
        (["backend={kind: vllm, url: 'http://127.0.0.1:8000'}"], None, 0),  # not this machine's
        (["backend={kind: transformers, device: cpu}"], None, 0),
        (["backend={kind: transformers}"], None, 1),
    ],
)
def test_a_real_model_needs_gpus(overrides: list[str], share: float | None, gpus: float) -> None:
    scenario = load("facts", overrides=["model=org/name", *overrides])
    assert needs_of(scenario, share) == Needs(2, gpus, 0)  # its configuration isn't here


@pytest.mark.parametrize(
    ("gpus", "needed", "expected"),
    [
        ((), 1, []),  # everything runs on cores
        (EIGHT, 0, []),
        (EIGHT[:3], 1, ["0", "1", "2"]),
        (EIGHT, 4, ["0,1,2,3", "4,5,6,7"]),
        (EIGHT[:5], 2, ["0,1", "2,3"]),
        (("GPU-a", "GPU-b"), 0.5, ["GPU-a", "GPU-a", "GPU-b", "GPU-b"]),
    ],
)
def test_each_run_has_gpus_of_its_own(
    gpus: tuple[str, ...], needed: float, expected: list[str]
) -> None:
    assert shares_of_gpus(gpus, needed) == expected


def test_more_gpus_than_there_are_are_refused() -> None:
    with pytest.raises(ScenarioError, match="needs 4 GPUs, and this machine has 2"):
        shares_of_gpus(EIGHT[:2], 4)


@pytest.mark.parametrize(
    ("needs", "machine", "expected"),
    [
        (Needs(1, 0, GIB), Machine(8, (), 100 * GIB), 8),
        (Needs(2, 0, GIB), Machine(8, (), 100 * GIB), 4),
        (Needs(1, 0, GIB), Machine(8, (), 3 * GIB), 3),
        (Needs(2, 1, GIB), Machine(64, EIGHT, 999 * GIB), 8),
        (Needs(2, 4, GIB), Machine(64, EIGHT, 999 * GIB), 2),
        (Needs(4, 0, 0), Machine(2, (), GIB), 1),  # at least one
    ],
)
def test_as_many_as_everything_is_enough_for(needs: Needs, machine: Machine, expected: int) -> None:
    assert at_once(needs, machine) == expected


def test_this_machine_has_something() -> None:
    here = Machine.here()
    assert here.cores >= 1 and here.memory > 0
