"""Known secrets within a scenario, which every run would write down."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from simulator.config.document import YamlPath
from simulator.core.credentials import keep_secret, redacted

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


def known_secrets(scenario: "Scenario", data: Any) -> Iterator[tuple[YamlPath, str]]:
    """Yield the place of each text that holds a secret of the environment, and what to do.

    Args:
        scenario: whose engines name the variables of their keys.
        data: as its files and the command line give it.
    """
    for backend in (scenario.backend, *(role.backend for role in scenario.roles.values())):
        keep_secret(os.environ.get(getattr(backend, "key_variable", ""), "").strip())
    for path, text in _texts(data, ()):
        if redacted(text) != text:
            yield path, "holds a secret of the environment, which runs would write down; remove it"


def _texts(value: Any, path: YamlPath) -> Iterator[tuple[YamlPath, str]]:
    """Yield the keys and the texts of nested lists and mappings, each with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield path, str(key)
            yield from _texts(part, (*path, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _texts(part, (*path, number))
