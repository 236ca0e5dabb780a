"""Reading situations: a shipped folder by name, or the user's files and folders."""

import importlib.resources
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.situations import Family, Situation
from simulator.config import document
from simulator.config.document import Origin
from simulator.config.validation import validated
from simulator.core.errors import ScenarioError, unknown


def load_situations(name: str, origin: Origin) -> list[dict[str, Any]]:
    """Return the situations of a file, or of a folder's files in the order of their names.

    Args:
        name: a path, relative to the file that names it or to here, or a shipped folder's name.
        origin: where the name was written.

    Raises:
        ScenarioError: no file or folder has that name, or a file can't be used.
    """
    shipped = Path(str(importlib.resources.files("scenarios"))) / "situations"
    places = (Path(origin.source).parent / name, Path(name), shipped / name)
    place = next((place for place in places if os.path.exists(place)), None)
    if place is None:
        folders = sorted(path.name for path in shipped.iterdir() if path.is_dir())
        raise ScenarioError(f"{origin}: situations: {unknown('situations', name, folders)}")
    files = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    families = [read_family(file) for file in files]
    found = [situation for family in families for situation in family.situations]
    if not found:
        raise ScenarioError(f"{origin}: situations: no YAML files in {place}")
    _refuse_duplicates(found, f"{origin}: situations: {place}")
    return [situation.model_dump() for situation in found]


def read_family(file: Path) -> Family:
    """Return the situations of one file.

    Raises:
        ScenarioError: lists the file's mistakes.
    """
    family = validated(Family, document.read(file), str(file))
    _refuse_duplicates(family.situations, str(file))
    return family


def _refuse_duplicates(situations: Sequence[Situation], place: str) -> None:
    counts = Counter(situation.name for situation in situations)
    if duplicates := sorted(name for name, count in counts.items() if count > 1):
        raise ScenarioError(f"{place}: duplicate situations: {', '.join(duplicates)}")
