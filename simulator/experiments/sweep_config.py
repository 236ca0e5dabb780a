"""What a sweep runs: the arms of an experiment, each a scenario crossed with the values of axes."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import Field

from simulator.config import document as yaml_source
from simulator.config.document import Document, origin_of
from simulator.config.loading import load
from simulator.config.renamed import with_first_names
from simulator.config.scenario import Scenario
from simulator.config.validation import validated
from simulator.core.config import Config, Count
from simulator.core.errors import ScenarioError
from simulator.models.resolve import PREFIX, weights_sha256

SHORTHANDS = ("biased_frac", "seed", "base")
_SHORT = "biased_frac, seed and base are short for the options of `run`"


class Arm(Config):
    """One condition of the experiment."""

    set: dict[str, Any] = Field(default_factory=dict, description="Overrides of its runs.")
    over: dict[str, list[Any]] = Field(default_factory=dict, description=f"Axes; {_SHORT}.")


class SweepConfig(Config):
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
        settings = with_first_names(self.scenario.model_dump(mode="json", exclude_unset=True))
        content = [settings, weights_sha256(self.scenario.model)]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.scenario.name}-{digest[:12]}"


def plan(file: Path, overrides: Sequence[str] = ()) -> tuple[SweepConfig, list[Cell]]:
    """Reads a sweep file and lists its runs; a run that two arms share is listed in both.

    Args:
        file: what to read.
        overrides: `path.to.key=value`, laid over the settings of every run.

    Raises:
        ScenarioError: the file, or the scenario of any run, is wrong.
    """
    document = yaml_source.read(file)
    config = validated(SweepConfig, document, str(file))
    return config, list(cells(config, document, overrides))


def cells(config: SweepConfig, document: Document, overrides: Sequence[str] = ()) -> Iterator[Cell]:
    """Yields the runs.

    Args:
        config: the arms and their axes.
        document: where they were read.
        overrides: `path.to.key=value`, laid over the settings of every run.

    Raises:
        ScenarioError: the scenario of a run is wrong; names the arm's line.
    """
    for name, arm in config.arms.items():
        axes = {**config.over, **arm.over}
        for values in itertools.product(*axes.values()):
            settings = dict(zip(axes, values, strict=True))
            yield Cell(name, settings, scenario_of(config, document, name, settings, overrides))


def scenario_of(
    config: SweepConfig,
    document: Document,
    arm: str,
    settings: Mapping[str, Any],
    overrides: Sequence[str] = (),
) -> Scenario:
    """Returns the scenario of one run; see `cells`.

    Args:
        config: the arms.
        document: where they were read.
        arm: whose run.
        settings: the value of each of its axes.
        overrides: laid over all.
    """
    everything = {**config.set, **config.arms[arm].set, **settings}
    options: dict[str, Any] = {}
    if "seed" in everything:
        options["seed"] = everything["seed"]
    if "base" in everything:
        options["model"] = f"{PREFIX}{everything['base']}"
    rest = {k: v for k, v in everything.items() if k not in SHORTHANDS}
    laid = [*(f"{key}={_yaml(value)}" for key, value in rest.items()), *overrides]
    fraction = everything.get("biased_frac")
    try:
        return load(config.scenario, overrides=laid, biased_frac=fraction, options=options)
    except ScenarioError as error:
        origin = origin_of(document, ("arms", arm), config.name)
        raise ScenarioError(f"{origin}: arms.{arm}: {error}") from None


def _yaml(value: Any) -> str:
    """Writes a value in one line; JSON's 2e-05 would be a word in YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return str(text).removesuffix("\n...\n").strip()
