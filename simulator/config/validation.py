"""From a document to a validated model, or to its mistakes, each with file, line and YAML path."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from simulator.config.document import Document, YamlPath, dotted, origin_of
from simulator.core.errors import ScenarioError, unknown

LONGEST_SHOWN = 80  # characters of a value in a message
# Plain words for pydantic's names of types.
IN_YAML = {
    "Tuple should": "list should",
    "a valid tuple": "a valid list",
    "a valid dictionary": "a mapping of keys to values",
    " after validation": "",
}
M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Document, source: str) -> M:
    """Check a document against a model.

    Raises:
        ScenarioError: lists all mistakes.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = filter(_is_cause, error.errors(include_url=False))
        found: dict[YamlPath, dict[str, None]] = {}
        for path, message in (_mistake(problem, document.data, model) for problem in problems):
            found.setdefault(path, {})[message] = None  # a union reports an error for each member
        mistakes = ((path, "; or ".join(messages)) for path, messages in found.items())
        raise refusal(mistakes, document, source) from None


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
        key, known = str(path[-1]), _known_keys(model)
        close = [] if key in known else difflib.get_close_matches(key, sorted(known), n=1)
        return path, "unknown key" + (f"; did you mean '{close[0]}'?" if close else "")
    if problem["type"] == "missing":
        return path, "missing key"
    for pydantics, words in IN_YAML.items():
        message = message.replace(pydantics, words)
    message = f"{message[:1].lower()}{message[1:]}"
    if not isinstance(problem["input"], dict | list):
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


def _known_keys(model: type[BaseModel]) -> set[str]:
    """Return every key that the schema knows, for suggestions."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return {key for part in parts for key in part.get("properties", {})}
