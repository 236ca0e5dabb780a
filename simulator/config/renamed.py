"""Former names of keys: they still load, with one warning that gives the present name."""

import warnings
from collections.abc import Mapping
from typing import Any

from simulator.config.document import Document, YamlPath
from simulator.core.errors import RenamedWarning

# The former path of a key, `*` for any, and its present name.
KEYS: Mapping[tuple[str, ...], str] = {
    ("directions", "*", "toward"): "positive",
    ("directions", "*", "away"): "negative",
}
VALUES: Mapping[tuple[str, ...], Mapping[str, str]] = {
    ("selection", "unit"): {
        "talk_mean": "conversation_mean",
        "talk_final": "conversation_final",
    },
}


def with_present_names(document: Document) -> Document:
    """Return a scenario's document with present names; warn once of each former name."""
    data, origins = _with_names(document.data, (), warn=True), dict(document.origins)
    return Document(data, {_renamed(path): origin for path, origin in origins.items()})


def with_first_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under the names of 6d899d2, whose hash identifies the runs of sweeps."""
    keys = {(*path[:-1], now): path[-1] for path, now in KEYS.items()}
    values = {path: {now: old for old, now in of.items()} for path, of in VALUES.items()}
    return dict(_with_names(settings, (), keys, values))


def _with_names(
    value: Any,
    path: YamlPath,
    keys: Mapping[tuple[str, ...], str] = KEYS,
    values: Mapping[tuple[str, ...], Mapping[str, str]] = VALUES,
    *,
    warn: bool = False,
) -> Any:
    if isinstance(value, Mapping):
        found = {}
        for key, inner in value.items():
            here = (*path, key)
            name = _match(here, keys) or key
            if warn and name != key:
                _warn(key, name)
            found[name] = _with_names(inner, here, keys, values, warn=warn)
        return found
    other = (_match(path, values) or {}).get(value) if isinstance(value, str) else None
    if warn and other:
        _warn(value, other)
    return other or value


def _match(path: YamlPath, names: Mapping[tuple[str, ...], Any]) -> Any:
    """Return the entry for a path, if there is one."""
    for pattern, found in names.items():
        if len(path) == len(pattern) and all(
            p in ("*", k) for p, k in zip(pattern, path, strict=True)
        ):
            return found
    return None


def _renamed(path: YamlPath) -> YamlPath:
    return tuple(_match(path[: n + 1], KEYS) or key for n, key in enumerate(path))


def _warn(before: str, now: str) -> None:
    warnings.warn(f"'{before}' is now called '{now}'", RenamedWarning, stacklevel=2)
