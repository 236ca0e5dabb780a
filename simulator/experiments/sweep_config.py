"""The plan of a sweep: arms of an experiment, each a scenario crossed with axes."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import AfterValidator, Field

from simulator.config import document as yaml_source
from simulator.config.document import Document, YamlPath, dotted, origin_of
from simulator.config.loading import Located, load_located
from simulator.config.numbers import as_number
from simulator.config.overrides import label_of
from simulator.config.paths import data_sha256
from simulator.config.renamed import with_first_names
from simulator.config.scenario import Scenario
from simulator.config.validation import validated
from simulator.core.config import ByName, Config, Count, Name, Number, PathText
from simulator.core.errors import ScenarioError
from simulator.models.resolve import PREFIX

MOST_RUNS = 1_000  # of a sweep: checking them takes some seconds
ENOUGH = 50  # runs with mistakes; others would have much the same ones
SHORTHANDS = ("biased_frac", "seed", "base")
_SHORT = "biased_frac, seed and base are short for the options of `run`"


Overrides = ByName[Any]
Axes = ByName[Annotated[list[Any], Field(max_length=10_000)]]


class Arm(Config):
    """One condition of the experiment."""

    set: Overrides = Field(default_factory=dict, description="Overrides of its runs.")
    over: Axes = Field(default_factory=dict, description=f"Axes; {_SHORT}.")


def _whole_or_a_share(gpus: float) -> float:
    """Refuse one GPU and a half."""
    if gpus > 1 and not gpus.is_integer():
        raise ValueError("give a whole number, or a share below 1")
    return gpus


class SweepConfig(Config):
    """A sweep file."""

    name: Name
    scenario: PathText = Field("quickstart", description="The scenario of every run.")
    processes: Annotated[Count, Field(ge=1, le=1_000)] | Literal["auto"] = Field(
        "auto",
        description="Number of concurrent runs; auto: as many as cores, GPUs and memory are "
        "enough for.",
    )
    gpus: Annotated[Number, AfterValidator(_whole_or_a_share)] | None = Field(
        None,
        gt=0,
        le=64,
        description="GPUs of each run, where there are any; below 1, runs share one. Empty: as "
        "many as its model is spread over, so no two runs share one.",
    )
    share_server: bool = Field(
        False,
        description="Start one vLLM server for all runs, which differ neither in their model nor "
        "in backend; else each starts its own.",
    )
    set: Overrides = Field(default_factory=dict, description="Overrides of every run.")
    over: Axes = Field(
        default_factory=dict, description=f"Axes of every arm, unless it has its own; {_SHORT}."
    )
    arms: ByName[Arm] = Field(min_length=1, description="Conditions by name.")


class Cell(NamedTuple):
    """One run of a sweep."""

    arm: str
    settings: dict[str, Any]  # the value of each axis
    located: Located

    @property
    def scenario(self) -> Scenario:
        """The scenario of the run."""
        return self.located.scenario

    @property
    def folder(self) -> str:
        """A name by the hash of all settings, so sweeps can share runs.

        Defaults are left out, so a new key of the schema doesn't rename old runs.
        """
        settings = with_first_names(self.scenario.model_dump(mode="json", exclude_unset=True))
        content: list[Any] = [settings, self.scenario.model_sha256]
        if self.scenario.facts is not None:
            content.append(data_sha256(self.scenario))
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.scenario.name}-{digest[:12]}"


def plan(file: Path, overrides: Sequence[str] = ()) -> tuple[SweepConfig, list[Cell]]:
    """Read a sweep file and list its runs; a run that two arms share is listed in both.

    Args:
        file: the sweep file.
        overrides: `path.to.key=value`, laid over the settings of every run.

    Raises:
        ScenarioError: lists the mistakes of the file, or of the runs' scenarios.
    """
    document = yaml_source.read(file)
    config = validated(SweepConfig, document, str(file))
    return config, cells(config, document, overrides)


def cells(config: SweepConfig, document: Document, overrides: Sequence[str] = ()) -> list[Cell]:
    """Return the runs.

    Args:
        config: the arms and their axes.
        document: where they were read.
        overrides: `path.to.key=value`, laid over the settings of every run.

    Raises:
        ScenarioError: lists the mistakes in their scenarios, each with the arm's line.
    """
    _refuse_too_many(config, document)
    found, wrong = [], list[ScenarioError]()
    for name, settings in _conditions(config):
        try:
            located = scenario_of(config, document, name, settings, overrides)
            found.append(Cell(name, settings, located))
        except ScenarioError as error:
            wrong.append(error)
            if len(wrong) == ENOUGH:
                break
    if wrong:
        raise ScenarioError(*(mistake for error in wrong for mistake in error.mistakes))
    return found


def _refuse_too_many(config: SweepConfig, document: Document) -> None:
    """Count the runs, before any of them is made."""
    axes = ({**config.over, **arm.over}.values() for arm in config.arms.values())
    count = sum(math.prod(map(len, values)) for values in axes)
    if count > MOST_RUNS:
        path = ("over",) if config.over else ("arms",)
        raise ScenarioError(
            f"{origin_of(document, path, 'the sweep')}: {dotted(path)}: would be {count:,} runs "
            f"in all; at most {MOST_RUNS:,}"
        )


def _conditions(config: SweepConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield arm and settings of each run."""
    for name, arm in config.arms.items():
        axes = {**config.over, **arm.over}
        for values in itertools.product(*axes.values()):
            yield name, dict(zip(axes, map(as_number, values), strict=True))


def scenario_of(
    config: SweepConfig,
    document: Document,
    arm: str,
    settings: Mapping[str, Any],
    overrides: Sequence[str] = (),
) -> Located:
    """Return the scenario of one run; see `cells`.

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
    laid = {
        key: f"{key}={_yaml(value)}" for key, value in everything.items() if key not in SHORTHANDS
    }
    fraction = everything.get("biased_frac")
    try:
        return load_located(
            config.scenario,
            overrides=[*laid.values(), *overrides],
            biased_frac=fraction,
            options=options,
        )
    except ScenarioError as error:
        labels = _labels(laid, _places(config, arm))
        raise ScenarioError(
            *(_placed(mistake, labels, ("arms", arm), document) for mistake in error.mistakes)
        ) from None


def _labels(laid: Mapping[str, str], places: Mapping[str, YamlPath]) -> dict[str, YamlPath]:
    """Return each setting's label in the messages of `load`, with its path."""
    shorthands = {f"--{key.replace('_', '-')}": key for key in SHORTHANDS if key in places}
    labels = {**{label_of(text): key for key, text in laid.items()}, **shorthands}
    return {label: places[key] for label, key in labels.items()}


def _places(config: SweepConfig, arm: str) -> dict[str, YamlPath]:
    """Return the path of each setting of an arm's runs."""
    own: YamlPath = ("arms", arm)
    return {
        **{key: ("set", key) for key in config.set},
        **{key: (*own, "set", key) for key in config.arms[arm].set},
        **{key: ("over", key) for key in config.over},
        **{key: (*own, "over", key) for key in config.arms[arm].over},
    }


def _placed(mistake: str, labels: Mapping[str, YamlPath], arm: YamlPath, document: Document) -> str:
    """Return a mistake with its place in the sweep's file, instead of its override."""
    label = next((label for label in labels if mistake.startswith((f"{label}:", f"{label} "))), "")
    path, rest = (labels[label], mistake[len(label) :]) if label else (arm, f": {mistake}")
    return f"{origin_of(document, path, 'the sweep')}: {dotted(path)}{rest}"


def _yaml(value: Any) -> str:
    """Return a value as one line of YAML, where JSON's 2e-05 would be a string."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return str(text).removesuffix("\n...\n").strip()
