"""Devices are named before anything is loaded on them, and mistakes are sentences."""

import pytest
from pydantic import ValidationError

from simulator.backends.config import TransformersConfig
from simulator.backends.factory import open_backend
from simulator.core.errors import BackendError
from simulator.core.timing import Stopwatch
from simulator.models.devices import device_of, usable_device
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
