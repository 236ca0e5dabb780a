"""Resolving names of models.

`organism:N` is a shipped base. Known names and GGUF files are converted into the user's cache.
All else is a path or a hub id.
"""

import importlib.resources
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from simulator.core.errors import BackendError, ScenarioError, unknown
from simulator.core.files import file_sha256
from simulator.models.library.cache import source_of
from simulator.models.reference import ModelRef
from simulator.worlds.base import World
from simulator.worlds.synthetic import SyntheticWorld

PREFIX = "organism:"
REMEMBERED = 8  # worlds


@cache
def shipped_bases() -> Mapping[int, Path]:
    """Return the bases that come with the package, by number."""
    folder = Path(str(importlib.resources.files("simulator.organism"))) / "bases"
    return {int(path.name): path for path in sorted(folder.glob("[0-9]*"))}


def resolve(model: str) -> ModelRef:
    """Return the model of this name, with the default settings of loading.

    Raises:
        BackendError: there is no such base.
    """
    if source := source_of(model):
        return ModelRef(str(source.folder), source=model)
    if not model.startswith(PREFIX):
        return ModelRef(model)
    bases = {f"{PREFIX}{number}": folder for number, folder in shipped_bases().items()}
    if model not in bases:
        raise BackendError(unknown("base", model, bases))
    return ModelRef(str(bases[model]))


def weights_sha256(model: str) -> str | None:
    """Return the hash of a model's weights, or None where they aren't one local file."""
    weights = Path(resolve(model).path) / "model.safetensors"
    return _sha256(weights, weights.stat().st_mtime_ns) if weights.is_file() else None


@cache
def _sha256(weights: Path, changed: int) -> str:
    return file_sha256(weights)


def is_organism(model: str) -> bool:
    """Return whether this model is an organism, trained on a synthetic world."""
    return (Path(resolve(model).path) / "world.json").is_file()


def world_or_none(model: str) -> World | None:
    """Return the world that a model was trained on, if it is an organism."""
    return world_of(model) if is_organism(model) else None


def world_of(model: str) -> SyntheticWorld:
    """Return the world that a model was trained on.

    Raises:
        ScenarioError: it isn't an organism.
    """
    path = Path(resolve(model).path) / "world.json"
    if not path.is_file():
        raise ScenarioError(
            f"the model '{model}' isn't an organism (it has no world.json), but the scenario's "
            "users and probes need the organism's world"
        )
    return _world(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=REMEMBERED)
def _world(path: Path, changed: int) -> SyntheticWorld:
    """Read a world once for all runs of a sweep."""
    try:
        return SyntheticWorld.load(path)
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError, OSError):
        raise ScenarioError(
            f"{path}: damaged: it isn't an organism's world; copy it again"
        ) from None
