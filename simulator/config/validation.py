"""From a document to a validated model, or to its mistakes, each with file, line and YAML path."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from simulator.config.document import Document, YamlPath, dotted, origin_of
from simulator.core.errors import ScenarioError, unknown

LONGEST_SHOWN = 80  # characters of a value in a message
M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Document, source: str) -> M:
    """Check a document against a model.

    Raises:
        ScenarioError: lists all mistakes.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        found = [_mistake(problem, document.data, model) for problem in problems]
        raise refusal(found, document, source) from None


def refusal(
    mistakes: Iterable[tuple[YamlPath, str]], document: Document, source: str
) -> ScenarioError:
    """Return an error that lists mistakes by line, each as `file:line: path: what is wrong`."""
    together: dict[YamlPath, dict[str, None]] = {}  # of one value, each way to mend it once
    for path, message in mistakes:
        together.setdefault(path, {})[message] = None
    origins = {path: origin_of(document, path, source) for path in together}
    by_line = sorted(together, key=lambda path: (origins[path].source, origins[path].line or 0))
    return ScenarioError(
        *(
            ": ".join(
                filter(None, [str(origins[path]), dotted(path), "; or ".join(together[path])])
            )
            for path in by_line
        )
    )


def _mistake(problem: Any, data: Any, model: type[BaseModel]) -> tuple[YamlPath, str]:
    """Return where a pydantic error is in the YAML, and what is wrong there."""
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
    if problem["type"] in ("too_short", "too_long"):
        message = message.replace("Tuple", "list").replace(" after validation", "")
    message = f"{message[:1].lower()}{message[1:]}"
    if not isinstance(problem["input"], dict | list):
        given = repr(problem["input"])
        message += f", not {given}" if len(given) <= LONGEST_SHOWN else ""
    return path, message


def yaml_path(location: Sequence[str | int], data: Any) -> YamlPath:
    """Drop from a pydantic location the names of union members, which YAML doesn't have."""
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
