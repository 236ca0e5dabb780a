"""The studies that come with the package: where they are, and what they ask."""

import importlib.resources
from pathlib import Path

from simulator.config import document


def shipped_studies() -> dict[str, Path]:
    """Return the studies that come with the package, by name."""
    folder = Path(str(importlib.resources.files("scenarios"))) / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def listed() -> list[tuple[str, str, str]]:
    """Return name, question and source of every shipped study."""
    read = {name: document.read(path).data for name, path in shipped_studies().items()}
    return [(name, str(data["question"]), str(data["source"])) for name, data in read.items()]
