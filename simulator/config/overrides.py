"""What the command line changes in a scenario: `--set key=value`, options, `--biased-frac`."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from simulator.backends.config import AutoConfig
from simulator.config import document as yaml_source
from simulator.config.document import Document, Origin, YamlPath
from simulator.config.numbers import as_number
from simulator.config.renamed import with_present_names
from simulator.config.validation import NOT_REPEATED
from simulator.core.credentials import names_a_secret
from simulator.core.errors import ScenarioError, shortened
from simulator.core.texts import flaw, flaw_within

_INDEX = re.compile(r"[0-9]{1,9}")  # of an item of a list
LOCAL = ("auto", "transformers", "vllm")  # kinds of engines that load the model themselves


def from_options(options: dict[str, Any]) -> Iterator[Document]:
    """Yield the document of each option, such as `--seed`, by its top-level key."""
    for key, value in options.items():
        origin = Origin(f"--{key.replace('_', '-')}", None)
        if wrong := flaw_within(value, escaped=False):
            raise ScenarioError(f"{origin}: {wrong}")
        yield Document({key: value}, {(key,): origin})


def with_kind_of_backend(document: Document, given: Document) -> Document:
    """Change the assistant's engine to a given kind, and keep the settings that engines share.

    Those are the settings of `auto`. An endpoint has none of them.
    """
    before, named = document.data.get("backend"), given.data.get("backend")
    if not isinstance(before, dict) or not isinstance(named, dict):
        return document
    kind = named.get("kind", before.get("kind"))
    if kind == before.get("kind"):
        return document
    common = AutoConfig.model_fields if kind in LOCAL else ()
    kept = {key: value for key, value in before.items() if key in common}
    return document._replace(data={**document.data, "backend": {**kept, "kind": kind}})


def label_of(override: str) -> str:
    """Return how messages name an override."""
    return f"--set {shortened(override)}"


def parse_override(override: str) -> Document:
    """Return the document that `path.to.key=value` stands for; the value is YAML, lists included.

    Numbers in the path count the items of a list: `phases.0.rounds=2`.

    Raises:
        ScenarioError: it isn't written so, or the value isn't YAML.
    """
    if wrong := flaw(override):
        shown = override.encode(errors="backslashreplace").decode()
        raise ScenarioError(f"{label_of(shown)}: {wrong}")
    label = label_of(override)
    path_text, equals, value = override.partition("=")
    keys = path_text.strip().split(".")
    if not equals or not all(keys):
        raise ScenarioError(f"{label}: invalid override; write path.to.key=value")
    if _may_hold_a_key(keys, value):
        label = label_of(path_text)
    if len(keys) > yaml_source.DEEPEST:
        raise ScenarioError(f"{label}: too deep; at most {yaml_source.DEEPEST} levels")
    path: YamlPath = tuple(int(key) if _INDEX.fullmatch(key) else key for key in keys)
    parsed = yaml_source.parse(value, label, path, lines=False)
    data = parsed.data
    for key in reversed(keys):
        data = {key: data}
    above = {path[:n]: Origin(label, None) for n in range(1, len(path) + 1)}
    return with_present_names(Document(data, {**above, **parsed.origins}))


def _may_hold_a_key(keys: Sequence[str], value: str) -> bool:
    """Return whether a value isn't repeated, as it may be a key in the wrong place."""
    of_an_engine = not NOT_REPEATED.union(("backend",)).isdisjoint(keys)
    return of_an_engine or names_a_secret(keys[-1]) or "{" in value


def with_biased_fraction(document: Document, fraction: float) -> Document:
    """Rescale the shares: the types marked `biased` get `fraction` in total."""
    fraction = as_number(fraction)
    if isinstance(fraction, bool) or not isinstance(fraction, int | float):
        raise ScenarioError(f"--biased-frac {shortened(fraction)}: invalid share; must be a number")
    if not 0 <= fraction <= 1:
        raise ScenarioError(f"--biased-frac {fraction:g}: invalid share; must be from 0 to 1")
    population = document.data.get("population")
    types = population.get("types") if isinstance(population, dict) else None
    if not isinstance(types, dict):
        return document  # validation reports the mistake
    groups: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for name, user_type in types.items():
        share = as_number(user_type.get("share")) if isinstance(user_type, dict) else None
        if not isinstance(share, int | float):
            return document  # validation reports the mistake
        groups[bool(user_type.get("biased", False))][name] = float(share)
    for biased, target in ((True, fraction), (False, 1 - fraction)):
        if target > 0 and not groups[biased]:
            word = "biased" if biased else "unbiased"
            raise ScenarioError(f"--biased-frac {fraction:g}: the scenario has no {word} user type")
    shares: dict[str, Any] = {}
    for biased, target in ((True, fraction), (False, 1 - fraction)):
        total = sum(groups[biased].values())
        for name, share in groups[biased].items():
            part = share / total if total > 0 else 1 / len(groups[biased])
            shares[name] = {"share": target * part}
    origins: dict[YamlPath, Origin] = {
        ("population", "types", name, "share"): Origin("--biased-frac", None) for name in shares
    }
    return yaml_source.merged(document, Document({"population": {"types": shares}}, origins))
