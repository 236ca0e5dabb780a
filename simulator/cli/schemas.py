"""The kinds of files that people write: what tells them apart, their schemas, what is valid."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from analysis.studies.claims import Claims
from simulator.config import document, loading
from simulator.config.scenario import Scenario
from simulator.experiments.sweep_config import SweepConfig, plan
from simulator.runtime.preflight import check_chats
from simulator.studies.plan import INSTEAD, QUICK, REAL, StudyConfig, check_study, shipped_studies

Kind = Literal["scenario", "sweep", "study"]
Schema = dict[str, Any]


def kind_of(data: Any) -> Kind:
    """Tells what a file holds by the keys that no other kind has."""
    keys = set(data) if isinstance(data, dict) else set()
    if keys & {*Claims.model_fields, QUICK, REAL}:
        return "study"
    if keys & (set(SweepConfig.model_fields) - set(Scenario.model_fields)):
        return "sweep"
    return "scenario"


def check(source: str, overrides: Sequence[str], tell: Callable[[str], None]) -> str:
    """Checks a file of any kind without running it; returns what it says of itself.

    Args:
        source: a file, or the name of a shipped scenario or study.
        overrides: `path.to.key=value`, laid over every run.
        tell: is told what was chosen for each backend of kind `auto`, and why.

    Raises:
        ScenarioError: with file, line and YAML path of the mistake.
    """
    path = shipped_studies().get(source) or loading.find(source)
    kind = kind_of(document.read(path).data)
    if kind == "study":
        full, quick = check_study(source, overrides)
        for cell in (*full.cells, *quick.cells):
            check_chats(cell.scenario)
        return f"study {full.config.name}, {len(full.cells)} runs, {len(quick.cells)} with --quick"
    if kind == "sweep":
        config, cells = plan(path, overrides)
        for cell in cells:
            check_chats(cell.scenario)
        return f"sweep {config.name}, {len(cells)} runs"
    loaded = loading.load(source, overrides=overrides, tell=tell)
    check_chats(loaded)
    return f"{loaded.name}, {loaded.last_round} rounds"


def schema(kind: Kind) -> Schema:
    """Returns the JSON Schema of a kind of file, as it is written."""
    if kind == "sweep":
        return SweepConfig.model_json_schema()
    return _study() if kind == "study" else _scenario()


def _scenario() -> Schema:
    """What extends another scenario is laid over it, and has only what differs."""
    whole = Scenario.model_json_schema()
    part = _laid_over(whole)
    named = {"type": "string", "description": "A shipped folder, or a file beside this one."}
    properties = {
        "extends": {"type": "string", "description": "The scenario that this one is laid over."},
        **part["properties"],
        "situations": {"anyOf": [named, part["properties"]["situations"]]},
    }
    complete = [{"required": ["extends"]}, {"required": whole["required"]}]
    return {**part, "properties": properties, "anyOf": complete}


def _study() -> Schema:
    """Its tiers are laid over it before it is read, and so are no part of what is read."""
    whole = StudyConfig.model_json_schema()
    own = whole["properties"]
    kept = {"type": "array", "items": {"type": "string"}, "description": "Those that stay."}
    quick = _mapping("What a first look changes.", {**own, "arms": {"anyOf": [kept, own["arms"]]}})
    metric = {"type": ["string", "null"]}
    instead = {
        "type": "object",
        "additionalProperties": metric,
        "description": "The metric in the place of each of the organism's; empty: there is none.",
    }
    real = _mapping(
        "What takes the place of the study's own on a real model.",
        {**own, QUICK: quick, INSTEAD: instead},
    )
    return {**whole, "properties": {**own, QUICK: quick, REAL: real}}


def _mapping(description: str, properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "properties": properties,
    }


def _laid_over(schema: Any) -> Any:
    """Returns the schema of what is laid over something: nothing in it has to be there.

    Without its `kind` a mapping may be of several, so one that fits is enough.
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
