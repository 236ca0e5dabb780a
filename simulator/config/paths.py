"""The data files that a scenario names: found from where it is written, and known by content."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from simulator.config.document import Document, Origin, YamlPath
from simulator.config.validation import origin_of
from simulator.core.requests import ADAPTER_WEIGHTS
from simulator.data.mixture import FileData
from simulator.data.rows import files_of
from simulator.probes.data_probe import DataProbe
from simulator.probes.interp.directions import DirectionsProbe
from simulator.store.run import file_sha256

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


def located(data: str, origin: Origin) -> str:
    """Returns the path of what lies beside the file that names it, or here; else a hub id."""
    places = (Path(origin.source).parent / data, Path(data))
    return next((str(place.resolve()) for place in places if place.exists()), data)


def with_located_files(document: Document, source: str) -> Document:
    """Makes all paths of data of kind `file` absolute, so that a run can be resumed anywhere."""

    def walk(value: Any, path: YamlPath) -> Any:
        if isinstance(value, list):
            return [walk(part, (*path, n)) for n, part in enumerate(value)]
        if not isinstance(value, dict):
            return value
        found = {key: walk(part, (*path, key)) for key, part in value.items()}
        if found.get("kind") == "file" and isinstance(found.get("path"), str):
            found["path"] = located(found["path"], origin_of(document, (*path, "path"), source))
        return found

    return document._replace(data=walk(document.data, ()))


def data_sha256(scenario: "Scenario") -> dict[str, str]:
    """Returns the hash of every local file that chats, directions, probes or transfer come from."""
    names = dict.fromkeys(_sources(scenario))
    files = [file for name in names for file in files_of(Path(name))]
    return {str(file): file_sha256(file) for file in files}


def changed_files(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Says what has become of data files, by their hashes then and now."""
    return [
        f"{file} {'is gone' if file not in now else 'is new' if file not in then else 'changed'}"
        for file in sorted(then.keys() | now.keys())
        if then.get(file) != now.get(file)
    ]


def _sources(part: object) -> Iterator[str]:
    """Yields every path or hub id of data within a part of a scenario."""
    if isinstance(part, FileData):
        yield part.path
    elif isinstance(part, DataProbe):
        yield from filter(None, [part.data])
    elif isinstance(part, DirectionsProbe):
        yield from (f"{folder}/{ADAPTER_WEIGHTS}" for folder in part.transfer.values())
    elif isinstance(part, BaseModel):
        for _, value in part:
            yield from _sources(value)
    elif isinstance(part, Mapping):
        for value in part.values():
            yield from _sources(value)
    elif isinstance(part, tuple):
        for value in part:
            yield from _sources(value)
