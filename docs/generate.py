"""Write the generated parts of the documentation, between their markers.

    python docs/generate.py            update stale pages
    python docs/generate.py --check    list stale pages; exit code 1 if there are any

A page marks a part with `<!-- generated: NAME -->` and `<!-- end: NAME -->`. The text between the
two is replaced. `PARTS` lists the functions that write the parts.
"""

import importlib
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))  # import the code beside these pages, from any directory

from simulator.config.scenario import Scenario  # noqa: E402
from simulator.probes.data_probe import DataProbe, ShippedDataProbe  # noqa: E402
from simulator.probes.metrics import Metric, Range  # noqa: E402
from simulator.probes.registry import OF_SEVERAL, PROBES  # noqa: E402
from simulator.store.schemas import TABLES  # noqa: E402
from simulator.store.schemas import Schema as TableSchema  # noqa: E402
from simulator.studies.plan import Tier, plan_study  # noqa: E402
from tests.unit.test_imports import FLOORS  # noqa: E402

Schema = dict[str, Any]
MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)
LONG = 40  # longest default shown in a table, in characters


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table; cells are escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    cells = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


# Scenarios: every key, from the schema that also checks them


def scenario_keys() -> str:
    """Return a section for the scenario, and one for every mapping inside it."""
    schema = Scenario.model_json_schema()
    headings = _headings(schema)
    return "\n\n".join(
        _section(part, headings[name], headings) for name, part in _parts(schema, headings)
    )


def _parts(schema: Schema, headings: Mapping[str, str]) -> Iterator[tuple[str, Schema]]:
    yield "", schema
    for name in headings:
        if name:
            yield name, schema["$defs"][name]


def _headings(schema: Schema) -> dict[str, str]:
    """Return the heading of every mapping, in the order of the keys that lead to them."""
    headings = {"": "The scenario"}
    queue = [("", schema)]
    for path, part in queue:  # grows during the loop
        for key, value in part.get("properties", {}).items():
            where = f"{path}.{key}" if path else key
            for name, inside in _refs(value, where):
                if name not in headings:
                    found = schema["$defs"][name]
                    kind = found.get("properties", {}).get("kind", {}).get("const")
                    headings[name] = f"{inside}, kind {kind}" if kind else inside
                    queue.append((inside, found))
    return headings


def _refs(value: Schema, where: str) -> Iterator[tuple[str, str]]:
    """Yield the mappings in a key, each with its path; NAME and N stand for any."""
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2], where
    for one in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from _refs(one, where)
    if isinstance(value.get("items"), dict):
        yield from _refs(value["items"], f"{where}.N")
    if isinstance(value.get("additionalProperties"), dict):
        yield from _refs(value["additionalProperties"], f"{where}.NAME")


def _section(part: Schema, heading: str, headings: Mapping[str, str]) -> str:
    required = part.get("required", ())
    rows = [
        (f"`{key}`", _values(value, headings), _default(value, key in required),
         value.get("description", ""))
        for key, value in part.get("properties", {}).items()
    ]  # fmt: skip
    about = " ".join(part.get("description", "").split())
    keys = table(("key", "values", "default", "meaning"), rows)
    return "\n\n".join(filter(None, (f"### {heading}", about, keys)))


def _values(value: Schema, headings: Mapping[str, str]) -> str:
    """Return a description of a key's values."""
    if "$ref" in value:
        heading = headings[value["$ref"].rpartition("/")[2]]
        return f"[{heading.rpartition(', kind ')[2]}](#{slug(heading)})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    several = [*value.get("anyOf", ()), *value.get("oneOf", ())]
    if several:
        return " or ".join(_values(one, headings) for one in several if one.get("type") != "null")
    if value.get("type") == "array":
        items = value.get("items") or {}
        return f"list of {_values(items, headings)}"
    if isinstance(value.get("additionalProperties"), dict):
        return f"mapping of names to {_values(value['additionalProperties'], headings)}"
    return _scalar(value)


def _scalar(value: Schema) -> str:
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "yes/no"}
    kind = words.get(value.get("type", ""), "any")
    bounds = (
        ("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"),
    )  # fmt: skip
    limits = [f"{sign} {value[name]:g}" for name, sign in bounds if name in value]
    return " ".join([kind, ", ".join(limits)]).strip()


def _default(value: Schema, required: bool) -> str:
    if required:
        return "*required*"
    if "const" in value:
        return f"`{value['const']}`"
    default = value.get("default")
    if default in (None, "", [], {}):
        return "empty"
    if isinstance(default, bool):
        return "`true`" if default else "`false`"
    if isinstance(default, dict):
        return f"kind `{default['kind']}`" if "kind" in default else "see there"
    if isinstance(default, list) and any(isinstance(one, dict) for one in default):
        return ", ".join(f"kind `{one['kind']}`" for one in default if "kind" in one) or "see there"
    if isinstance(default, list):
        default = f"[{', '.join(map(str, default))}]"
    text = str(default)
    return f"`{text}`" if len(text) <= LONG and "\n" not in text else "a built-in text"


# Studies: from their files


def studies() -> str:
    """Return the table of shipped studies, with the runs of both tiers."""
    names = sorted(path.stem for path in (DOCS.parent / "scenarios" / "studies").glob("*.yaml"))
    planned = [[plan_study(name, Tier(quick=quick)) for quick in (False, True)] for name in names]
    rows = [
        (f"`{name}`", full.config.question, full.config.source, *(
            str(len(tier.cells)) for tier in (full, quick)
        ))
        for name, (full, quick) in zip(names, planned, strict=True)
    ]  # fmt: skip
    return table(("study", "question", "paper", "runs", "runs with `--quick`"), rows)


# Architecture: from the test that holds the floors, and each package's own first line


def floors() -> str:
    """Return the table of floors, from the lowest up."""
    rows = [
        (str(height), f"`{package}`", _first_line(importlib.import_module(package)))
        for height, floor in enumerate(FLOORS)
        for package in floor
    ]
    return table(("floor", "package", "what it is"), rows)


# Tables: from the schemas that they are written with


def tables() -> str:
    """Return a section for every table of a run, with its columns."""
    return "\n\n".join(
        f"### {name}\n\n`{schema.place}`: a row is {schema.row}.\n\n{_columns(schema)}"
        for name, schema in TABLES.items()
    )


def _columns(schema: TableSchema) -> str:
    rows = [
        (f"`{column.name}`", f"`{column.arrow_type}`", "yes" if column.optional else "",
         column.meaning)
        for column in schema.columns
    ]  # fmt: skip
    return table(("column", "type", "may be missing", "meaning"), rows)


# Probes: from their declarations


def probes() -> str:
    """Return the table of probes: what each does, and what it needs."""
    rows = [(f"`{probe.kind_name()}`", _first_line(probe), _needs(probe)) for probe in PROBES]
    return table(("kind", "what it does", "needs"), rows)


def metrics() -> str:
    """Return a table of metrics for each probe, and one for metrics of several probes."""
    declared = [(f"`{probe.kind_name()}`", probe.metrics) for probe in PROBES]
    return "\n\n".join(
        f"### {heading}\n\n{_metrics_table(found)}"
        for heading, found in (*declared, ("Of several probes", OF_SEVERAL))
    )


def _metrics_table(found: Iterable[Metric]) -> str:
    rows = [
        (
            f"`{metric.name}`", metric.meaning, metric.unit.name, _range(metric.bounds),
            "yes" if metric.key_figures else "",
            ", ".join(dict.fromkeys(curve.panel.title for curve in metric.curves)),
        )
        for metric in found
    ]  # fmt: skip
    return table(("metric", "meaning", "unit", "range", "key figure", "panel"), rows)


def _range(bounds: Range) -> str:
    low, high = bounds
    if not math.isinf(low) and not math.isinf(high):
        return f"{low:g} to {high:g}"
    return "any" if math.isinf(low) else f"≥ {low:g}"


def _first_line(of: Any) -> str:
    return (of.__doc__ or "").strip().splitlines()[0]


def _takes_data(probe: Any) -> bool:
    return issubclass(probe, DataProbe) and not issubclass(probe, ShippedDataProbe)


def _needs(probe: Any) -> str:
    capabilities = sorted(f"`{name}`" for name in probe.required_capabilities)
    return ", ".join(
        [
            *(["the organism's world"] if probe.requires_world else []),
            *(["situations"] if probe.requires_situations else []),
            *(["data of yours"] if _takes_data(probe) else []),
            *(["a judge"] if "role" in probe.model_fields else []),
            *(["a backend with " + ", ".join(capabilities)] if capabilities else []),
        ]
    )


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "data.md": {"tables": tables},
    "scenarios.md": {"keys": scenario_keys},
    "studies.md": {"studies": studies},
    "probes.md": {"probes": probes, "metrics": metrics},
    "architecture.md": {"floors": floors},
}


def generated(page: str) -> str:
    """Return the current content of a page."""
    parts = PARTS[page]
    text = (DOCS / page).read_text(encoding="utf-8")
    marked = {name for _, name, _ in MARKED.findall(text)}
    if marked != parts.keys():
        raise SystemExit(f"docs/{page}: marks {sorted(marked)}, should mark {sorted(parts)}")
    return MARKED.sub(lambda m: f"{m[1]}\n{parts[m[2]]()}\n\n{m[3]}", text)


def stale() -> dict[str, str]:
    """Return the stale pages, each with its current content."""
    pages = {page: generated(page) for page in PARTS}
    return {
        page: text
        for page, text in pages.items()
        if text != (DOCS / page).read_text(encoding="utf-8")
    }


def main() -> int:
    """Update stale pages, or list them."""
    found = stale()
    for page, text in found.items():
        print(f"docs/{page}")
        if "--check" not in sys.argv[1:]:
            (DOCS / page).write_text(text, encoding="utf-8")
    return 1 if found and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
