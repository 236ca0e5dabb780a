"""YAML that keeps the origin of every value, so errors can name the line.

Plain data only: tags, aliases (scenarios reuse each other by `extends`), duplicate keys, deep
nesting and large files are refused.
"""

import copy
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

from simulator.core.errors import ScenarioError, shortened
from simulator.core.texts import flaw, read_flawless, whole_characters

LARGEST_FILE = 1_000_000  # bytes
DEEPEST = 32  # levels of nesting
MOST_VALUES = 50_000  # keys and values of a file: a second's reading

YamlPath: TypeAlias = tuple[str | int, ...]
_PLAIN = ("null", "bool", "int", "float", "str", "map", "seq")
# Numbers in YAML 1.1 that people don't mean: times and numbers to base 8. YAML 1.2 has neither.
_ODD_NUMBER = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?|[-+]?0[0-7_]+")
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in _PLAIN}


class Origin(NamedTuple):
    """Where a value was written."""

    source: str  # a file, or an option of the command line
    line: int | None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


class Document(NamedTuple):
    """Plain data and the origin of each of its values."""

    data: Any
    origins: dict[YamlPath, Origin]


def dotted(path: YamlPath) -> str:
    """Return a path as people write it: `population.types.benign`."""
    return ".".join(map(shortened, path))


def read(path: Path) -> Document:
    """Read a file.

    Raises:
        ScenarioError: the file can't be read or isn't plain YAML; the message has file and line.
    """
    try:
        if path.exists() and not path.is_file():
            raise ScenarioError(f"{path}: not a file")
        if path.stat().st_size > LARGEST_FILE:
            raise ScenarioError(f"{path}: too large; at most {LARGEST_FILE:,} bytes")
        text = read_flawless(path)
    except FileNotFoundError:
        raise ScenarioError(f"{path}: file not found") from None
    except OSError as error:
        raise ScenarioError(f"{path}: can't be read as text ({error})") from None
    data, origins = _parsed(text, str(path))
    return Document(copy.deepcopy(data), dict(origins))


@lru_cache(maxsize=64)
def _parsed(text: str, source: str) -> Document:
    """Parse a file's text once for all runs of a sweep."""
    return parse(text, source)


def parse(text: str, source: str, at: YamlPath = (), *, lines: bool = True) -> Document:
    """Parse YAML text; `at` is the prefix of every path; without `lines`, origins have no line."""
    origins: dict[YamlPath, Origin] = {}

    def where(mark: Any) -> Origin:
        return Origin(source, mark.line + 1 if lines else None)

    try:
        _refuse_aliases_and_size(text, where)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = where(mark) if mark else source
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ScenarioError(f"{place}: invalid YAML: {problem}") from None

    def build(node: yaml.Node, path: YamlPath) -> Any:
        origins[path] = where(node.start_mark)
        if node.tag not in _PLAIN_TAGS:
            value = getattr(node, "value", "")
            if node.tag == "tag:yaml.org,2002:timestamp":
                return str(value)
            raise ScenarioError(
                f"{origins[path]}: {dotted(path)}: invalid tag {node.tag}; write plain values"
            )
        if isinstance(node, yaml.MappingNode):
            return build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [build(child, (*path, i)) for i, child in enumerate(node.value)]
        if _ODD_NUMBER.fullmatch(node.value):
            return str(node.value)
        try:
            value = loader.construct_object(node)
        except (ValueError, KeyError, yaml.YAMLError):  # `!!int x`, `0b_`, a million digits
            text, tag = str(node.value)[:40], node.tag.rpartition(":")[2]
            place = f"{origins[path]}: {dotted(path)}"
            raise ScenarioError(f"{place}: invalid {tag} '{text}'") from None
        if isinstance(value, str):
            value = whole_characters(value)
            if wrong := flaw(value, escaped=True):
                raise ScenarioError(f"{origins[path]}: {dotted(path)}: {wrong}")
        return value

    def build_mapping(node: yaml.MappingNode, path: YamlPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = whole_characters(str(getattr(key_node, "value", "")))
            if wrong := flaw(key, escaped=True):
                raise ScenarioError(f"{where(key_node.start_mark)}: a key {wrong}")
            if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
                raise ScenarioError(
                    f"{where(key_node.start_mark)}: invalid key; keys must be plain words"
                )
            if key in result:
                line = origins[(*path, key)].line
                first = f" (first defined on line {line})" if line else ""
                above = f"{dotted(path)}: " if path else ""
                raise ScenarioError(
                    f"{where(key_node.start_mark)}: {above}duplicate key '{key}'{first}"
                )
            result[key] = build(value_node, (*path, key))
            origins[(*path, key)] = where(key_node.start_mark)
        return result

    return Document(None if node is None else build(node, at), origins)


def _refuse_aliases_and_size(text: str, where: Any) -> None:
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if number > MOST_VALUES:
            raise ScenarioError(
                f"{where(event.start_mark)}: too large; at most {MOST_VALUES:,} keys and values"
            )
        if isinstance(event, yaml.AliasEvent):
            place = where(event.start_mark)
            raise ScenarioError(f"{place}: aliases (*name) aren't allowed; write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise ScenarioError(
                    f"{where(event.start_mark)}: too deep; at most {DEEPEST} levels"
                )
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def merged(base: Document, over: Document) -> Document:
    """Merge `over` into `base`: mappings key by key; everything else is replaced.

    A mapping that changes its `kind` replaces the old one entirely; a stray one changes nothing. A
    mapping with numbers as keys changes those items of a list, counted from 0.
    """
    origins = {**base.origins, **over.origins}
    return Document(_merge(base.data, over.data), origins)


def _merge(base: Any, over: Any) -> Any:
    if isinstance(base, list) and isinstance(over, Mapping) and _numbers(over, len(base)):
        return [_merge(old, over[str(n)]) if str(n) in over else old for n, old in enumerate(base)]
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    if "kind" in base and over.get("kind", base["kind"]) != base["kind"]:
        return over
    return {
        **base,
        **{key: _merge(base[key], value) if key in base else value for key, value in over.items()},
    }


def _numbers(keys: Mapping[Any, Any], length: int) -> bool:
    """Return whether all keys are indices of a list."""
    return bool(keys) and keys.keys() <= set(map(str, range(length)))


def part(document: Document, key: str) -> Document:
    """Return the value of a key as a document of its own."""
    inside = {path[1:]: origin for path, origin in document.origins.items() if path[:1] == (key,)}
    return Document(document.data[key], inside)


def placed(mistake: str, document: Document, source: str) -> str:
    """Put file and line before a mistake that begins with a path of the document."""
    path = tuple(int(k) if k.isdecimal() else k for k in mistake.partition(":")[0].split("."))
    if not isinstance(document.data, dict) or path[0] not in document.data:
        return mistake
    return f"{origin_of(document, path, source)}: {mistake}"


def origin_of(document: Document, path: YamlPath, source: str) -> Origin:
    """Return the origin of a value, or else that of the nearest value around it."""
    while path and path not in document.origins:
        path = path[:-1]
    return document.origins.get(path, Origin(source, 1))
