"""The data files that a scenario names: located from its file, identified by hash."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from simulator.config.document import Document, Origin, YamlPath, dotted, origin_of
from simulator.core.adapters import ADAPTER_WEIGHTS
from simulator.core.errors import ScenarioError
from simulator.core.files import file_sha256
from simulator.data.mixture import FileData
from simulator.data.rows import files_of, read_rows
from simulator.probes.base import Probe
from simulator.worlds.fact_config import FactsConfig
from simulator.worlds.fact_data import fact_files, load_facts

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


def located(data: str, origin: Origin) -> str:
    """Return a path, relative to the file that names it or to here; else a hub id."""
    places = (Path(origin.source).parent / data, Path(data))
    return next((str(place.resolve()) for place in places if os.path.exists(place)), data)


def with_located_files(document: Document, source: str) -> Document:
    """Make all paths of data of kind `file` absolute, so that a run can be resumed anywhere."""

    def with_location(found: dict[str, Any], path: YamlPath) -> dict[str, Any]:
        if not isinstance(found.get("path"), str):
            return found
        place = located(found["path"], origin_of(document, (*path, "path"), source))
        return {**found, "path": place}

    return with_changed_files(document, with_location)


def with_changed_files(
    document: Document, change: Callable[[dict[str, Any], YamlPath], dict[str, Any]]
) -> Document:
    """Change all data of kind `file`; `change` gets each, and its path."""

    def walk(value: Any, path: YamlPath) -> Any:
        if isinstance(value, list):
            return [walk(part, (*path, n)) for n, part in enumerate(value)]
        if not isinstance(value, dict):
            return value
        found = {key: walk(part, (*path, key)) for key, part in value.items()}
        return change(found, path) if found.get("kind") == "file" else found

    return document._replace(data=walk(document.data, ()))


def with_bad_rows_skipped(document: Document) -> Document:
    """Let all data of kind `file` leave out rows that can't be used."""
    return with_changed_files(document, lambda found, path: {**found, "skip_bad_rows": True})


def data_sha256(scenario: "Scenario") -> dict[str, str]:
    """Return the hash of every local file that chats, directions, probes or transfer come from."""
    asked = (name for probe in scenario.measure.probes.values() for name in _asked_by(probe))
    names = dict.fromkeys([*_sources(scenario), *asked])
    files = [file for name in names for file in files_of(Path(name))]
    hashes = {str(file): file_sha256(file) for file in files}
    if scenario.facts is not None:
        hashes |= _facts_sha256(scenario.facts)
    return hashes


def _facts_sha256(facts: FactsConfig) -> dict[str, str]:
    """Return the hash of every file of facts; shipped ones by name, wherever they are installed."""
    found = {file: file_sha256(file) for file in fact_files(facts.source)}
    if facts.data:
        return {str(file): digest for file, digest in found.items()}
    return {f"facts/{file.name}": digest for file, digest in found.items()}


def changed_files(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Describe how data files have changed, by their hashes then and now."""
    return [
        f"{file} {'is gone' if file not in now else 'is new' if file not in then else 'changed'}"
        for file in sorted(then.keys() | now.keys())
        if then.get(file) != now.get(file)
    ]


def _sources(part: object) -> Iterator[str]:
    """Yield every path or hub id of chats within a part of a scenario."""
    if isinstance(part, FileData):
        yield part.path
    elif isinstance(part, BaseModel):
        for _, value in part:
            yield from _sources(value)
    elif isinstance(part, Mapping):
        for value in part.values():
            yield from _sources(value)
    elif isinstance(part, tuple):
        for value in part:
            yield from _sources(value)


def _asked_by(probe: Probe) -> Iterator[str]:
    """Yield every path or hub id of a probe's data and adapters."""
    yield from probe.data_sources.values()
    yield from (f"{folder}/{ADAPTER_WEIGHTS}" for folder in probe.checkpoints.values())


def with_data(scenario: "Scenario", document: Document, source: str) -> "Scenario":
    """Make all paths of probes and facts absolute, so that the run can be resumed anywhere.

    Raises:
        ScenarioError: data can't be found or used; names the scenario's line and the data's row.
    """
    probes, mistakes = dict(scenario.measure.probes), list[str]()
    try:
        scenario = _with_facts(scenario, document, source)
    except ScenarioError as error:
        mistakes += error.mistakes
    for name, probe in probes.items():
        path: YamlPath = ("measure", "probes", name)
        try:
            for key, data in probe.data_sources.items():
                probe = _with(probe, key, _rows(probe, data, document, (*path, *key), source))
            for key, folder in probe.checkpoints.items():
                probe = _with(probe, key, _adapter(folder, document, (*path, *key), source))
        except ScenarioError as error:
            mistakes += error.mistakes
        probes[name] = probe
    if mistakes:
        raise ScenarioError(*mistakes)
    measure = scenario.measure.model_copy(update={"probes": probes})
    return scenario.model_copy(update={"measure": measure})


def _with_facts(scenario: "Scenario", document: Document, source: str) -> "Scenario":
    """Make the path of facts absolute, and read them."""
    if scenario.facts is None:
        return scenario
    if (data := scenario.facts.data) is not None:
        path: YamlPath = ("facts", "data")
        origin = origin_of(document, path, source)
        place = located(data, origin)
        try:
            load_facts(Path(place))
        except ScenarioError as error:
            raise error.within(f"{origin}: {dotted(path)}") from None
        scenario = _with(scenario, path, place)
    return scenario


def _with(part: Any, path: YamlPath, value: str) -> Any:
    """Return a part of a scenario with a changed value at a path within it."""
    key, *rest = path
    if isinstance(part, Mapping):
        return {**part, key: _with(part[key], tuple(rest), value) if rest else value}
    changed = _with(getattr(part, str(key)), tuple(rest), value) if rest else value
    return part.model_copy(update={str(key): changed})


def _rows(probe: Probe, data: str, document: Document, path: YamlPath, source: str) -> str:
    """Return the location of a probe's data, after checking it."""
    origin = origin_of(document, path, source)
    place = located(data, origin)
    try:
        probe.check_rows(read_rows(place))
    except ScenarioError as error:
        raise error.within(f"{origin}: {dotted(path)}") from None
    return place


def _adapter(folder: str, document: Document, path: YamlPath, source: str) -> str:
    """Return the folder of another run's checkpoint."""
    origin = origin_of(document, path, source)
    place = located(folder, origin)
    if not (Path(place) / ADAPTER_WEIGHTS).is_file():
        raise ScenarioError(
            f"{origin}: {dotted(path)}: {ADAPTER_WEIGHTS} not found in '{folder}'; name the "
            "folder of a checkpoint"
        )
    return place
