"""The kinds of users' files: how to recognise them, their schemas, and their checks."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from agents.situations import Family
from simulator.config import document, loading
from simulator.config.scenario import Scenario
from simulator.config.situations import read_family
from simulator.core.errors import ScenarioError
from simulator.runtime.fetching import not_fetched_yet
from simulator.runtime.model_checks import check_models
from simulator.runtime.preflight import check_chats
from simulator.studies.shipped import shipped_studies

Kind = Literal["scenario", "sweep", "study", "situations"]
Schema = dict[str, Any]
Notify = Callable[[str], None]


def kind_of(data: Any) -> Kind:
    """Return the kind of a file, by the keys that no other kind has."""
    keys = set(data) if isinstance(data, dict) else set()
    if "family" in keys:
        return "situations"
    if keys <= {"extends", *Scenario.model_fields}:
        return "scenario"  # so modules that only the others need aren't imported
    from simulator.experiments.sweep_config import SweepConfig
    from simulator.studies.config import OWN_KEYS

    if keys & OWN_KEYS:
        return "study"
    return (
        "sweep" if keys & set(SweepConfig.model_fields) - set(Scenario.model_fields) else "scenario"
    )


def check(source: str, overrides: Sequence[str], notify: Notify) -> str:
    """Check a file of any kind without running it; return a summary of it.

    Args:
        source: a file, or the name of a shipped scenario or study.
        overrides: `path.to.key=value`, laid over every run.
        notify: is called with the choice for each backend of kind `auto`, and its reason.

    Raises:
        ScenarioError: lists the mistakes, each with file, line and YAML path.
    """
    path = shipped_studies().get(source) or loading.find(source)
    kind = kind_of(document.read(path).data)
    if kind == "situations":
        return _check_situations(path, overrides)
    if kind == "study":
        return _check_study(source, overrides, notify)
    if kind == "sweep":
        return _check_sweep(path, overrides, notify)
    located = loading.load_located(source, overrides=overrides, notify=notify)
    _check_chats([located], notify)
    return f"{located.scenario.name}, {located.scenario.last_round} rounds"


def _check_situations(path: Path, overrides: Sequence[str]) -> str:
    if overrides:
        raise ScenarioError(f"--set {overrides[0]}: a file of situations has no settings")
    family = read_family(path)
    return f"family {family.family}, {len(family.situations)} situations"


def _check_study(source: str, overrides: Sequence[str], notify: Notify) -> str:
    from simulator.studies.plan import check_study

    full, quick = check_study(source, overrides)
    _check_chats([cell.located for cell in (*full.cells, *quick.cells)], notify)
    return f"study {full.config.name}, {len(full.cells)} runs, {len(quick.cells)} with --quick"


def _check_sweep(path: Path, overrides: Sequence[str], notify: Notify) -> str:
    from simulator.experiments.sweep_config import plan

    config, cells = plan(path, overrides)
    _check_chats([cell.located for cell in cells], notify)
    return f"sweep {config.name}, {len(cells)} runs"


def _check_chats(found: Sequence[loading.Located], notify: Notify) -> None:
    for located in found:
        check_models(located.scenario)
    for sentence in dict.fromkeys(chain.from_iterable(map(_sentences, found))):
        notify(sentence)


def _sentences(located: loading.Located) -> list[str]:
    scenario = located.scenario
    with located.placing():
        return [*not_fetched_yet(scenario), *check_chats(scenario, local=True).sentences]


def schema(kind: Kind) -> Schema:
    """Return the JSON Schema of a kind of file, as it is written."""
    if kind == "scenario":
        return _scenario()
    if kind == "situations":
        return Family.model_json_schema()
    if kind == "study":
        return _study()
    from simulator.experiments.sweep_config import SweepConfig

    return SweepConfig.model_json_schema()


def _scenario() -> Schema:
    """Return the schema of scenarios, which may extend others and have only the differences."""
    whole = Scenario.model_json_schema()
    part = _laid_over(whole)
    named = {"type": "string", "description": "A shipped folder, or a file beside this one."}
    properties = {
        "extends": {"type": "string", "description": "The scenario that this one extends."},
        **part["properties"],
        "situations": {"anyOf": [named, part["properties"]["situations"]]},
    }
    complete = [{"required": ["extends"]}, {"required": whole["required"]}]
    return {**part, "properties": properties, "anyOf": complete}


def _study() -> Schema:
    """Add the tiers, which are merged into the rest before it is read."""
    from simulator.studies.config import FACTS, INSTEAD, QUICK, REAL, StudyConfig

    whole = StudyConfig.model_json_schema()
    own = whole["properties"]
    kept = {"type": "array", "items": {"type": "string"}, "description": "The arms that stay."}
    quick = _mapping("Changes of the quick tier.", {**own, "arms": {"anyOf": [kept, own["arms"]]}})
    metric = {"type": ["string", "null"]}
    instead = {
        "type": "object",
        "additionalProperties": metric,
        "description": "The metric that replaces each of the organism's; empty: none does.",
    }
    replaced = {**own, QUICK: quick, INSTEAD: instead}
    forms = {
        FACTS: _mapping("Replacements of its keys on a model that is asked about facts.", replaced),
        REAL: _mapping("Replacements of its keys on a model with data and judges.", replaced),
    }
    return {**whole, "properties": {**own, QUICK: quick, **forms}}


def _mapping(description: str, properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": properties,
    }


def _laid_over(schema: Any) -> Any:
    """Return the schema of an override, in which no key is required.

    Without its `kind` a mapping may fit several kinds, so one match is enough.
    """
    if isinstance(schema, list):
        return [_laid_over(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        "anyOf" if key == "oneOf" else key: _laid_over(value)
        for key, value in schema.items()
        if not (key == "required" and isinstance(value, list))
    }
