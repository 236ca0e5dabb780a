"""What a sweep runs: the arms of an experiment, each a scenario crossed with the values of axes."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, ValidationError

from simulator import models, yaml_source
from simulator.errors import ScenarioError
from simulator.scenario import Scenario, load
from simulator.settings import Count, Settings

SHORTHANDS = ("biased_frac", "seed", "base")
_SHORT = "biased_frac, seed and base are short for the options of `run`"


class Arm(Settings):
    """One condition of the experiment."""

    set: dict[str, Any] = Field(default_factory=dict, description="Overrides of its runs.")
    over: dict[str, list[Any]] = Field(default_factory=dict, description=f"Axes; {_SHORT}.")


class SweepConfig(Settings):
    """A sweep file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    scenario: str = Field("quickstart", description="What every run starts from.")
    processes: Count = Field(2, ge=1, description="Runs at a time.")
    set: dict[str, Any] = Field(default_factory=dict, description="Overrides of every run.")
    over: dict[str, list[Any]] = Field(
        default_factory=dict, description=f"Axes of every arm, unless it has its own; {_SHORT}."
    )
    arms: dict[str, Arm] = Field(min_length=1, description="Conditions by name.")


class Cell(NamedTuple):
    """One run of a sweep."""

    arm: str
    settings: dict[str, Any]  # the value of each axis
    scenario: Scenario

    @property
    def folder(self) -> str:
        """A name that says everything that the run depends on, so that sweeps can share runs.

        What the scenario leaves to defaults is left out: a key that is new to the schema renames
        no old run.
        """
        settings = self.scenario.model_dump(mode="json", exclude_unset=True)
        content = [settings, models.weights_sha256(self.scenario.model)]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.scenario.name}-{digest[:12]}"


def plan(file: Path) -> tuple[SweepConfig, list[Cell]]:
    """Reads a sweep file and lists its runs; a run that two arms share is listed in both.

    Raises:
        ScenarioError: the file, or the scenario of any run, is wrong.
    """
    config = _read(file)
    return config, list(_cells(config))


def _read(path: Path) -> SweepConfig:
    document = yaml_source.read(path)
    try:
        return SweepConfig.model_validate(document.data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = tuple(problem["loc"])
        origin = document.origins.get(where, f"{path}:1")
        raise ScenarioError(f"{origin}: {yaml_source.dotted(where)}: {problem['msg']}") from None


def _cells(config: SweepConfig) -> Iterator[Cell]:
    for name, arm in config.arms.items():
        axes = {**config.over, **arm.over}
        for values in itertools.product(*axes.values()):
            settings = dict(zip(axes, values, strict=True))
            yield Cell(name, settings, _scenario(config, {**config.set, **arm.set, **settings}))


def _scenario(config: SweepConfig, settings: dict[str, Any]) -> Scenario:
    options: dict[str, Any] = {}
    if "seed" in settings:
        options["seed"] = settings["seed"]
    if "base" in settings:
        options["model"] = f"{models.PREFIX}{settings['base']}"
    rest = {k: v for k, v in settings.items() if k not in SHORTHANDS}
    overrides = [f"{key}={json.dumps(value)}" for key, value in rest.items()]
    fraction = settings.get("biased_frac")
    return load(config.scenario, overrides=overrides, biased_frac=fraction, options=options)
