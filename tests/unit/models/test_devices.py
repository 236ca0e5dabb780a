"""Devices are named before anything is loaded on them, and mistakes are sentences."""

import pytest

from simulator.backends.config import TransformersConfig
from simulator.backends.factory import open_backend
from simulator.core.errors import BackendError
from simulator.core.timing import Stopwatch
from simulator.models.devices import device_of, usable_device
from simulator.models.resolve import resolve


def test_a_device_needn_t_be_here_to_be_planned_with() -> None:
    assert device_of("cuda:99").index == 99
    assert usable_device("cpu") == device_of("cpu")


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("gpu", "invalid device 'gpu'; use cpu, cuda or cuda:N"),
        ("cuda:99", "device 'cuda:99' isn't available here: "),
    ],
)
def test_a_device_that_is_not_here_is_named(device: str, sentence: str) -> None:
    with pytest.raises(BackendError, match=sentence):
        open_backend(TransformersConfig(device=device), resolve("organism:0"), Stopwatch())
