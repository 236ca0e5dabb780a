"""From a document to a validated model, or to its mistakes, each with file, line and YAML path."""

import difflib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from simulator.config.document import Document, YamlPath, dotted, origin_of
from simulator.config.numbers import as_number, as_whole_number
from simulator.core.credentials import names_a_secret
from simulator.core.errors import ScenarioError, shortened, unknown

LONGEST_SHOWN = 80  # characters of a value in a message
# Settings whose values aren't repeated, as one may be a key in the wrong place.
NOT_REPEATED = frozenset(("url", "key_variable", "extra_body", "arguments"))
# Plain words for pydantic's names of types.
IN_YAML = {
    "Tuple should": "list should",
    "a valid tuple": "a valid list",
    "a valid dictionary": "a mapping of keys to values",
    " after validation": "",
}
# What pydantic finds wrong with a text where a number is expected, and how to read it.
_READ_AS = {"float_type": as_number, "int_type": as_whole_number}
M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Document, source: str) -> M:
    """Check a document against a model.

    Raises:
        ScenarioError: lists all mistakes.
    """
    data = document.data
    try:
        return model.model_validate(data)
    except ValidationError as error:
        data = _with_numbers(data, error.errors(include_url=False))
    try:  # once more, as texts may have become numbers
        return model.model_validate(data)
    except ValidationError as error:
        problems = filter(_is_cause, error.errors(include_url=False))
        found: dict[YamlPath, dict[str, None]] = {}
        for path, message in (_mistake(problem, data, model) for problem in problems):
            found.setdefault(path, {})[message] = None  # a union reports an error for each member
        mistakes = ((path, "; or ".join(messages)) for path, messages in found.items())
        raise refusal(mistakes, document, source) from None


def _with_numbers(data: Any, problems: Iterable[Any]) -> Any:
    """Read the texts that stand where a number is expected as the numbers that they write."""
    for problem in problems:
        if problem["type"] in _READ_AS:
            number = _READ_AS[problem["type"]](problem["input"])
            data = _with(data, yaml_path(problem["loc"], data), number)
    return data


def _with(data: Any, path: YamlPath, value: Any) -> Any:
    """Return data with another value at a path; the given data stay as they are."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(data, list) and isinstance(key, int):
        return [_with(part, rest, value) if n == key else part for n, part in enumerate(data)]
    if isinstance(data, dict) and key in data:
        return {**data, key: _with(data[key], rest, value)}
    return data


def refusal(
    mistakes: Iterable[tuple[YamlPath, str]], document: Document, source: str
) -> ScenarioError:
    """Return an error that lists mistakes by line, each as `file:line: path: what is wrong`."""
    found = [(origin_of(document, path, source), path, message) for path, message in mistakes]
    found.sort(key=lambda one: (one[0].source, one[0].line or 0))
    return ScenarioError(
        *(
            ": ".join(filter(None, [str(origin), dotted(path), message]))
            for origin, path, message in found
        )
    )


def _is_cause(problem: Any) -> bool:
    """Return whether an error is a cause: not a list too short because its items are wrong."""
    if problem["type"] != "too_short":
        return True
    given = problem["input"]
    return not (isinstance(given, list | tuple) and len(given) >= problem["ctx"]["min_length"])


def _mistake(problem: Any, data: Any, model: type[BaseModel]) -> tuple[YamlPath, str]:
    """Return a pydantic error as a path in the YAML and a message."""
    path = yaml_path(problem["loc"], data)
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        names = [name.strip(" '") for name in context["expected_tags"].split(",")]
        return (*path, "kind"), unknown("kind", context["tag"], names)
    if problem["type"] == "union_tag_not_found":
        return path, "missing key 'kind'"
    if problem["type"] == "extra_forbidden":
        key, known = shortened(path[-1]), _known_keys(model)
        if names_a_secret(key):
            return path, "unknown key; put the secret into the variable that key_variable names"
        close = [] if key in known else difflib.get_close_matches(key, sorted(known), n=1)
        return path, "unknown key" + (f"; did you mean '{close[0]}'?" if close else "")
    if problem["type"] == "missing":
        return path, "missing key"
    for pydantics, words in IN_YAML.items():
        message = message.replace(pydantics, words)
    message = f"{message[:1].lower()}{message[1:]}"
    if not isinstance(problem["input"], dict | list) and NOT_REPEATED.isdisjoint(path):
        given = repr(problem["input"])
        named = problem["type"] == "value_error" and given in message
        message += f", not {given}" if len(given) <= LONGEST_SHOWN and not named else ""
    return path, message


def yaml_path(location: Sequence[str | int], data: Any) -> YamlPath:
    """Remove the names of union members, which YAML doesn't have, from a pydantic location."""
    path: list[str | int] = []
    for n, part in enumerate(location):
        last = n == len(location) - 1
        if isinstance(data, dict) and (part in data or last):
            path.append(part)
            data = data.get(str(part))
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
    return tuple(path)


@cache
def _known_keys(model: type[BaseModel]) -> frozenset[str]:
    """Return every key that the schema knows, for suggestions."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return frozenset(key for part in parts for key in part.get("properties", {}))
