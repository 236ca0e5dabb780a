"""What a study runs: a sweep file with findings, in a tier, on organisms or on a real model."""

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from analysis.studies.claims import Claims
from analysis.studies.findings import Finding
from analysis.studies.quantities import Quantity, metrics_of
from simulator.config import document as yaml_source
from simulator.config.document import Document, YamlPath, dotted, origin_of
from simulator.config.scenario import Scenario
from simulator.config.validation import validated, yaml_path
from simulator.core.errors import ScenarioError
from simulator.experiments.sweep_config import Cell, SweepConfig, cells, scenario_of
from simulator.models.resolve import is_organism
from simulator.studies.shipped import shipped_studies

QUICK, REAL, INSTEAD = "quick", "real_models", "instead"
OWN_KEYS = frozenset({*Claims.model_fields, QUICK, REAL})  # that sweeps and scenarios don't have
ANY_MODEL = "any"  # that is no organism


class StudyConfig(SweepConfig, Claims):
    """A study file; `quick` and `real_models` are laid over the rest before it is read.

    `quick` is merged into it, and may name the `arms` that stay. The keys of `real_models` replace
    the study's own, its `quick` the study's `quick`; `instead` names the metric that takes the
    place of each of the organism's, null where there is none.
    """


class Tier(NamedTuple):
    """Which form of a study is run."""

    quick: bool = False
    model: str | None = None  # in the bases' place
    bases: tuple[int, ...] = ()  # in place of the file's; none: the file's
    overrides: tuple[str, ...] = ()  # `path.to.key=value`, of every run


class PlannedStudy(NamedTuple):
    """A study and its runs."""

    config: StudyConfig
    cells: list[Cell]


def plan_study(source: str, tier: Tier) -> PlannedStudy:
    """Reads a study and lists the runs of a tier.

    Args:
        source: a file, or the name of a shipped study.
        tier: what to run of it.

    Raises:
        ScenarioError: the file, a finding, or the scenario of any run is wrong; names its line.
    """
    document, quick, lost = _form(yaml_source.read(_find(source)), tier.model)
    config = validated(StudyConfig, _on_models(document, tier), source)
    _check(config, document, tier, source, lost)
    if tier.quick:
        document = _laid(document, quick)
        config = validated(StudyConfig, _on_models(document, tier), source)
    config = _without(lost, config, source).model_copy(update={"name": _name(config, tier)})
    return PlannedStudy(config, list(cells(config, document, tier.overrides)))


def check_study(source: str, overrides: Sequence[str]) -> tuple[PlannedStudy, PlannedStudy]:
    """Checks every form of a study; returns all of it, and its quick tier, on organisms.

    Of the form for real models only that it can be read: its data may be elsewhere.

    Raises:
        ScenarioError: see `plan_study`.
    """
    full, quick = (
        plan_study(source, Tier(quick=less, overrides=tuple(overrides))) for less in (False, True)
    )
    document = yaml_source.read(_find(source))
    if REAL in document.data:
        real = _form(document, ANY_MODEL)
        for form in (real.full, _laid(real.full, real.quick)):
            validated(StudyConfig, form, source)
    return full, quick


def _find(source: str) -> Path:
    shipped = shipped_studies()
    if source in shipped:
        return shipped[source]
    if source.endswith((".yaml", ".yml")):
        return Path(source)
    raise ScenarioError(f"there is no study '{source}'; shipped are: {', '.join(shipped)}")


class _Form(NamedTuple):
    """A study for organisms, or for a real model."""

    full: Document
    quick: Document  # what its quick tier changes
    lost: frozenset[str] = frozenset()  # the organism's metrics that have no other in their place


def _form(document: Document, model: str | None) -> _Form:
    """Returns the form of a study that a model takes; without one that for the bases."""
    if not isinstance(document.data, dict):
        raise ScenarioError(f"{document.origins.get((), '')}: a study is a mapping of keys")
    quick, real = _taken(document, QUICK), _taken(document, REAL)
    if model is None or is_organism(model):
        return _Form(document, quick)
    if not real.data:
        raise ScenarioError(f"this study has no {REAL}: it can only be run on organisms")
    quick, instead = _taken(real, QUICK), _taken(real, INSTEAD).data
    kept = {path: o for path, o in document.origins.items() if path[:1] not in _keys(real.data)}
    claims = {key: value for key, value in document.data.items() if key in Claims.model_fields}
    data = {**document.data, **_renamed(claims, instead), **real.data}
    lost = frozenset(metric for metric, other in instead.items() if other is None)
    return _Form(Document(data, {**kept, **real.origins}), quick, lost)


def _taken(document: Document, key: str) -> Document:
    """Takes a key out of a document, and returns what it holds."""
    if key not in document.data:
        return Document({}, {})
    found = yaml_source.part(document, key)
    if not isinstance(found.data, dict):
        raise ScenarioError(f"{document.origins[(key,)]}: {key}: must be a mapping")
    del document.data[key]
    return found


def _keys(data: Mapping[str, Any]) -> set[YamlPath]:
    return {(key,) for key in data}


def _renamed(value: Any, instead: Mapping[str, str | None]) -> Any:
    """Puts other metrics, of all items, in place of those that are named anywhere within."""
    if isinstance(value, list):
        return [_renamed(one, instead) for one in value]
    if not isinstance(value, dict):
        return value
    if other := instead.get(str(value.get("metric"))):
        value = {**value, "metric": other, "item_set": ""}
    return {key: _renamed(one, instead) for key, one in value.items()}


def _on_models(document: Document, tier: Tier) -> Document:
    """Puts the model or the bases that were asked for in place of the file's."""
    over, common = (dict(document.data.get(key) or {}) for key in ("over", "set"))
    if tier.model is not None:
        over.pop("base", None)
        common["model"] = tier.model
    if tier.bases:
        over["base"] = list(tier.bases)
    return document._replace(data={**document.data, "over": over, "set": common})


def _laid(document: Document, quick: Document) -> Document:
    """Lays the quick tier over the full study."""
    names = quick.data.get("arms")
    if isinstance(names, list):
        arms = document.data["arms"]
        for number, name in enumerate(names):
            if name not in arms:
                place = quick.origins[("arms", number)]
                raise ScenarioError(f"{place}: {QUICK}.arms: there is no arm '{name}'")
        document = document._replace(data={**document.data, "arms": {n: arms[n] for n in names}})
        rest = {key: value for key, value in quick.data.items() if key != "arms"}
        quick = quick._replace(data=rest)
    return yaml_source.merged(document, quick)


def _name(config: StudyConfig, tier: Tier) -> str:
    """Names the folder: what is run in another form doesn't replace the study's own."""
    model = re.sub(r"[^A-Za-z0-9]+", "-", tier.model or "").strip("-")
    bases = "-".join(f"base{number}" for number in tier.bases)
    laid = hashlib.sha256("\n".join(tier.overrides).encode()).hexdigest()[:6]
    parts = (config.name, QUICK if tier.quick else "", model, bases)
    return "-".join(filter(None, (*parts, f"set-{laid}" if tier.overrides else "")))


def _without(lost: frozenset[str], config: StudyConfig, source: str) -> StudyConfig:
    """Leaves out the findings about metrics that a real model has none of."""
    gone = [bool(lost & _metrics_in(finding)) for finding in config.findings]
    if all(gone):
        raise ScenarioError(f"{source}: {REAL}.{INSTEAD}: none of the findings is left")
    kept = tuple(f for f, left_out in zip(config.findings, gone, strict=True) if not left_out)
    answering = max(1, config.answered_by - sum(gone[: config.answered_by]))
    return config.model_copy(update={"findings": kept, "answered_by": answering})


def _metrics_in(finding: Finding) -> frozenset[str]:
    """Returns the metrics that a finding is about."""
    return frozenset(quantity.metric for _, quantity in finding.quantities())


def _check(
    config: StudyConfig, document: Document, tier: Tier, source: str, lost: frozenset[str]
) -> None:
    """Sees to it that the full study has whatever its findings are about.

    Raises:
        ScenarioError: names the line of the first thing that is missing.
    """

    @cache
    def scenario(arm: str, where: tuple[tuple[str, Any], ...]) -> Scenario:
        axes = {**config.over, **config.arms[arm].over}
        settings = {key: dict(where).get(key, values[0]) for key, values in axes.items()}
        return scenario_of(config, document, arm, settings, tier.overrides)

    @cache
    def metrics(arm: str, where: tuple[tuple[str, Any], ...]) -> dict[str, frozenset[str]]:
        return metrics_of(scenario(arm, where).model_dump(mode="json"))

    for place, quantity in _asked(config, lost):
        problem = _of_axes(config, quantity)
        if problem is None:
            where = tuple(sorted(quantity.where.items()))
            found = scenario(quantity.arm, where)
            problem = _of_course(found, quantity) or _of_metric(
                metrics(quantity.arm, where), quantity
            )
        if problem:
            key, told = problem
            path = yaml_path((*place, key), document.data)
            raise ScenarioError(f"{origin_of(document, path, source)}: {dotted(path)}: {told}")


def _asked(config: StudyConfig, lost: frozenset[str]) -> Iterator[tuple[YamlPath, Quantity]]:
    """Yields what a study is about, and where in its file it stands."""
    for number, finding in enumerate(config.findings):
        if not lost & _metrics_in(finding):
            for place, quantity in finding.quantities():
                yield ("findings", number, *place), quantity
    if config.recommendation:
        for place, quantity in config.recommendation.quantities():
            yield ("recommendation", *place), quantity


def _of_axes(config: StudyConfig, quantity: Quantity) -> tuple[str, str] | None:
    """Says which key names an arm, an axis or a value that the study doesn't have."""
    if quantity.arm not in config.arms:
        return "arm", f"there is no arm '{quantity.arm}'{_meant(quantity.arm, config.arms)}"
    axes = {**config.over, **config.arms[quantity.arm].over}
    for key, value in quantity.where.items():
        if key not in axes:
            return "where", f"'{quantity.arm}' has no axis '{key}'{_meant(key, axes)}"
        if value not in axes[key]:
            return "where", f"axis '{key}' of '{quantity.arm}' has no value {value}"
    return None


def _of_course(scenario: Scenario, quantity: Quantity) -> tuple[str, str] | None:
    """Says which key names a phase or a round that a run doesn't have, or doesn't measure."""
    names = [phase.name for phase in scenario.phases]
    if quantity.phase is not None and quantity.round is not None:
        return "round", "give a phase or a round, not both"
    if quantity.phase is not None and names.count(quantity.phase) != 1:
        many = "more than one phase is" if quantity.phase in names else "no phase is"
        return "phase", f"{many} called '{quantity.phase}'; there are {', '.join(names)}"
    if quantity.round is not None and quantity.round not in scenario.measured_rounds:
        measured = ", ".join(map(str, scenario.measured_rounds))
        return "round", f"isn't measured; measured are {measured}"
    return None


def _of_metric(metrics: Mapping[str, frozenset[str]], quantity: Quantity) -> tuple[str, str] | None:
    """Says which key names what no probe measures."""
    if quantity.metric not in metrics:
        return "metric", f"nothing measures '{quantity.metric}'{_meant(quantity.metric, metrics)}"
    known = metrics[quantity.metric]
    for name in quantity.item_sets:
        if known and name not in known:
            sets = ", ".join(f"'{one}'" for one in sorted(known))
            return "item_set", f"'{quantity.metric}' isn't measured on '{name}'; there are {sets}"
    return None


def _meant(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(known)}"
