"""The plan of a study: a sweep with findings, in a tier, on organisms or a real model."""

import copy
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analysis.studies.claims import Claims
from simulator.config import document as yaml_source
from simulator.config.document import Document, YamlPath
from simulator.config.validation import validated
from simulator.core.errors import ScenarioError, unknown
from simulator.experiments.sweep_config import Cell, cells
from simulator.models.library.known import KNOWN
from simulator.models.resolve import is_organism
from simulator.studies.config import FACTS, INSTEAD, QUICK, REAL, StudyConfig
from simulator.studies.findings import metrics_in, mistakes_in_findings
from simulator.studies.shipped import shipped_studies

ANY_MODEL = "any"  # a model that isn't an organism


class Tier(NamedTuple):
    """The form in which a study is run."""

    quick: bool = False
    model: str | None = None  # in place of the bases
    facts: bool | None = None  # whether that model is asked about facts; None: if it is small
    bases: tuple[int, ...] = ()  # in place of the file's; none: the file's
    overrides: tuple[str, ...] = ()  # `path.to.key=value`, of every run


class PlannedStudy(NamedTuple):
    """A study and its runs."""

    config: StudyConfig
    cells: list[Cell]


def plan_study(source: str, tier: Tier) -> PlannedStudy:
    """Read a study and list the runs of a tier.

    Args:
        source: a file, or the name of a shipped study.
        tier: what to run of it.

    Raises:
        ScenarioError: lists the mistakes of the file, its findings and its runs' scenarios.
    """
    document, quick, lost = _form(yaml_source.read(_find(source)), tier)
    config = validated(StudyConfig, _on_models(document, tier), source)
    mistakes = mistakes_in_findings(config, document, source, tier.overrides, lost)
    if tier.quick:
        document = _merged(document, quick)
        config = validated(StudyConfig, _on_models(document, tier), source)
    config = _without(lost, config, source).model_copy(update={"name": _name(config, tier)})
    try:
        planned = PlannedStudy(config, cells(config, document, tier.overrides))
    except ScenarioError as error:
        raise ScenarioError(*mistakes, *error.mistakes) from None
    if mistakes:
        raise ScenarioError(*mistakes)
    return planned


def check_study(source: str, overrides: Sequence[str]) -> tuple[PlannedStudy, PlannedStudy]:
    """Check every form of a study; return all of it, and its quick tier, on organisms.

    Forms for pretrained models are only read, as models and data may be elsewhere.

    Raises:
        ScenarioError: see `plan_study`.
    """
    full, quick = (
        plan_study(source, Tier(quick=less, overrides=tuple(overrides))) for less in (False, True)
    )
    document = yaml_source.read(_find(source))
    for key, facts in ((FACTS, True), (REAL, False)):
        if key in document.data:
            form = _form(copy.deepcopy(document), Tier(model=ANY_MODEL, facts=facts))
            for tier in (form.full, _merged(form.full, form.quick)):
                validated(StudyConfig, tier, source)
    return full, quick


def _find(source: str) -> Path:
    shipped = shipped_studies()
    if source in shipped:
        return shipped[source]
    if source.endswith((".yaml", ".yml")):
        return Path(source)
    raise ScenarioError(unknown("study", source, shipped))


class _Form(NamedTuple):
    """A study for organisms, or for a real model."""

    full: Document
    quick: Document  # what its quick tier changes
    lost: frozenset[str] = frozenset()  # the organism's metrics without a replacement


def _form(document: Document, tier: Tier) -> _Form:
    """Return the form of a study for a tier's model, or for the bases."""
    if not isinstance(document.data, dict):
        raise ScenarioError(
            f"{document.origins.get((), '')}: invalid study; it must be a mapping of keys to values"
        )
    quick, real, facts = (_taken(document, key) for key in (QUICK, REAL, FACTS))
    own = isinstance(common := document.data.get("set"), dict) and "model" in common
    if tier.model is None or is_organism(tier.model) or own:
        return _Form(document, quick)
    small = tier.model in KNOWN and bool(facts.data)
    asks_facts = small if tier.facts is None else tier.facts
    key, real = (FACTS, facts) if asks_facts else (REAL, real)
    if not real.data:
        raise ScenarioError(f"missing key '{key}': this study has no such form")
    quick, instead = _taken(real, QUICK), _taken(real, INSTEAD).data
    for metric, other in instead.items():
        if not isinstance(other, str | None):
            place = yaml_source.origin_of(document, (key, INSTEAD, metric), "the study")
            raise ScenarioError(f"{place}: {key}.{INSTEAD}.{metric}: must be a metric, or null")
    kept = {path: o for path, o in document.origins.items() if path[:1] not in _keys(real.data)}
    claims = {key: value for key, value in document.data.items() if key in Claims.model_fields}
    data = {**document.data, **_renamed(claims, instead), **real.data}
    lost = frozenset(metric for metric, other in instead.items() if other is None)
    return _Form(Document(data, {**kept, **real.origins}), quick, lost)


def _taken(document: Document, key: str) -> Document:
    """Remove a key from a document, and return its value."""
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
    """Replace metrics anywhere within a value by others, over all items."""
    if isinstance(value, list):
        return [_renamed(one, instead) for one in value]
    if not isinstance(value, dict):
        return value
    if other := instead.get(str(value.get("metric"))):
        value = {**value, "metric": other, "item_set": ""}
    return {key: _renamed(one, instead) for key, one in value.items()}


def _on_models(document: Document, tier: Tier) -> Document:
    """Replace the file's model or bases by those of the tier."""
    over, common = (_mapping(document, key) for key in ("over", "set"))
    if tier.model is not None:
        over.pop("base", None)
        common["model"] = tier.model
    if tier.bases:
        over["base"] = list(tier.bases)
    return document._replace(data={**document.data, "over": over, "set": common})


def _mapping(document: Document, *path: str) -> dict[str, Any]:
    """Return a copy of a mapping within a document; an empty one where there is none.

    Raises:
        ScenarioError: something else is there; names file and line.
    """
    found: Any = document.data
    for key in path:
        found = found.get(key) or {}
    if not isinstance(found, dict):
        place = yaml_source.origin_of(document, path, "the study")
        raise ScenarioError(f"{place}: {'.'.join(path)}: must be a mapping")
    return dict(found)


def _merged(document: Document, quick: Document) -> Document:
    """Merge the quick tier into the full study."""
    names = quick.data.get("arms")
    if isinstance(names, list):
        arms = _mapping(document, "arms")
        for number, name in enumerate(names):
            if not isinstance(name, str) or name not in arms:
                place = quick.origins[("arms", number)]
                raise ScenarioError(f"{place}: {QUICK}.arms: {unknown('arm', name, arms)}")
        document = document._replace(data={**document.data, "arms": {n: arms[n] for n in names}})
        rest = {key: value for key, value in quick.data.items() if key != "arms"}
        quick = quick._replace(data=rest)
    return yaml_source.merged(document, quick)


def _name(config: StudyConfig, tier: Tier) -> str:
    """Return the folder's name, which differs by form, so forms don't replace each other."""
    model = re.sub(r"[^A-Za-z0-9]+", "-", tier.model or "").strip("-")
    bases = "-".join(f"base{number}" for number in tier.bases)
    laid = hashlib.sha256("\n".join(tier.overrides).encode()).hexdigest()[:6]
    form = {True: FACTS, False: REAL, None: ""}[tier.facts]
    parts = (config.name, QUICK if tier.quick else "", model, form, bases)
    return "-".join(filter(None, (*parts, f"set-{laid}" if tier.overrides else "")))


def _without(lost: frozenset[str], config: StudyConfig, source: str) -> StudyConfig:
    """Remove the findings about metrics that a real model doesn't have."""
    gone = [bool(lost & metrics_in(finding)) for finding in config.findings]
    if all(gone):
        raise ScenarioError(
            f"{source}: {REAL}.{INSTEAD}: no finding is left; name a metric in place of at least "
            "one of them"
        )
    kept = tuple(f for f, left_out in zip(config.findings, gone, strict=True) if not left_out)
    answering = max(1, config.answered_by - sum(gone[: config.answered_by]))
    return config.model_copy(update={"findings": kept, "answered_by": answering})
