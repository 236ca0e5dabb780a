"""Reading situations: a shipped folder by name, or files and folders of one's own."""

import importlib.resources
from pathlib import Path
from typing import Any

from agents.situations import Family
from simulator.config import document
from simulator.config.document import Origin
from simulator.config.validation import validated
from simulator.core.errors import ScenarioError


def load_situations(name: str, origin: Origin) -> list[dict[str, Any]]:
    """Returns the situations of a file, or of a folder's files in the order of their names.

    Args:
        name: a path, from the file that names it or from here, or a shipped folder's name.
        origin: where the name was written.

    Raises:
        ScenarioError: there is no such file, or one of the files can't be used.
    """
    shipped = Path(str(importlib.resources.files("scenarios"))) / "situations"
    places = (Path(origin.source).parent / name, Path(name), shipped / name)
    place = next((place for place in places if place.exists()), None)
    if place is None:
        folders = ", ".join(sorted(path.name for path in shipped.iterdir() if path.is_dir()))
        raise ScenarioError(f"{origin}: situations: there is no '{name}'; shipped are: {folders}")
    files = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    families = [validated(Family, document.read(file), str(file)) for file in files]
    found = [situation.model_dump() for family in families for situation in family.situations]
    names = [situation["name"] for situation in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not found:
        what = f"has these names twice: {', '.join(twice)}" if twice else "has no situations"
        raise ScenarioError(f"{origin}: situations: {place} {what}")
    return found
