"""From a document to a validated model, or to one sentence with file, line and YAML path."""

import difflib
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from simulator.config.document import Document, YamlPath, dotted, origin_of
from simulator.core.errors import ScenarioError

LONGEST_SHOWN = 80  # characters of a value in a message
M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Document, source: str) -> M:
    """Checks a document against a model.

    Raises:
        ScenarioError: names the first mistake, and how many more there are.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ScenarioError(_sentence(problems[0], document, source, model) + more) from None


def _sentence(problem: Any, document: Document, source: str, model: type[BaseModel]) -> str:
    """Puts a pydantic error as `file:line: path: what is wrong`."""
    path = yaml_path(problem["loc"], document.data)
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "union_tag_invalid":
        path = (*path, "kind")
        given, names = problem["ctx"]["tag"], problem["ctx"]["expected_tags"]
        message = f"there is no '{given}'; there are {names}"
    elif problem["type"] == "union_tag_not_found":
        message = "the key 'kind' is missing"
    elif problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(path[-1]), _known_keys(model), n=1)
        message = "unknown key" + (f"; did you mean '{close[0]}'?" if close else "")
    elif problem["type"] == "missing":
        message = "this key is missing"
    elif not isinstance(problem["input"], dict | list):
        message = f"{message[0].lower()}{message[1:]}"
        given = repr(problem["input"])
        message += f", not {given}" if len(given) <= LONGEST_SHOWN else ""
    return f"{origin_of(document, path, source)}: {dotted(path)}: {message}"


def yaml_path(location: Sequence[str | int], data: Any) -> YamlPath:
    """Drops from a pydantic location the names of union members, which YAML doesn't have."""
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


def _known_keys(model: type[BaseModel]) -> list[str]:
    """Returns every key that the schema knows, for suggestions."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return sorted({key for part in parts for key in part.get("properties", {})})
