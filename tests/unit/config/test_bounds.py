"""Every number of a file has an upper bound, every list, mapping and text a length."""

import importlib
import math
import pkgutil
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import JsonValue
from pydantic.fields import FieldInfo

import agents
import analysis
from simulator.core.config import Config

UNTYPED = (Any, JsonValue)  # whose size is that of their file, which has bounds of its own


def configs() -> list[type[Config]]:
    """All of them: of settings, of probes and agents, of sweeps, studies and their claims."""
    for package in (agents, analysis):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    importlib.import_module("simulator.config.loading")
    return sorted(set(_below(Config)), key=lambda one: (one.__module__, one.__qualname__))


def _below(config: type[Config]) -> Iterator[type[Config]]:
    for one in config.__subclasses__():
        if one.__module__.startswith(("simulator.", "agents.", "analysis.")):
            yield one
        yield from _below(one)


def unbounded(kind: Any, bounds: Sequence[Any]) -> Iterator[str]:
    """What of a type has no bound, given the constraints around it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner, *own = arguments
        found = [m for one in own for m in (one.metadata if isinstance(one, FieldInfo) else [one])]
        yield from unbounded(inner, [*bounds, *found])
    elif origin in (Union, UnionType):
        for one in arguments:
            yield from unbounded(one, bounds)
    elif kind in (int, float):
        upper, lower = _values(bounds, "le", "lt"), _values(bounds, "ge", "gt")
        if len(upper) != 1 or not math.isfinite(upper[0]):
            yield "a number without an upper bound, or with two, of which one replaces the other"
        if not lower:
            yield "a number without a lower bound"
    elif origin in (tuple, list, dict):
        if not any(hasattr(one, "max_length") for one in bounds):
            yield "a list or mapping without a length"
        for one in arguments:
            if one is not ...:
                yield from unbounded(one, ())
    elif isinstance(kind, type) and issubclass(kind, Config):
        yield from ()  # its own fields are looked at by themselves
    elif kind not in (str, bool, NoneType, *UNTYPED) and origin is not Literal:
        yield f"{kind}, which this test doesn't know"


def _values(bounds: Sequence[Any], *names: str) -> list[float]:
    return [getattr(one, name) for one in bounds for name in names if hasattr(one, name)]


@pytest.mark.parametrize("config", configs(), ids=lambda one: one.__name__)
def test_every_setting_has_bounds(config: type[Config]) -> None:
    assert config.model_config["str_max_length"]  # the length of every text
    found = {
        name: what
        for name, field in config.model_fields.items()
        for what in unbounded(field.annotation, field.metadata)
    }
    assert not found
