"""From YAML files and the command line to a checked scenario."""

import importlib.resources
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from simulator.backends.config import AnyBackend, AutoConfig
from simulator.config import document as yaml_source
from simulator.config.compatibility import unmet_needs
from simulator.config.document import Document, Origin, YamlPath, origin_of
from simulator.config.memory_shares import with_memory_shares
from simulator.config.paths import with_data, with_located_files
from simulator.config.renamed import with_present_names
from simulator.config.scenario import MeasureConfig, Scenario
from simulator.config.situations import load_situations
from simulator.config.validation import refusal, validated
from simulator.core.errors import ScenarioError, unknown

DEFAULT = "quickstart"


LONGEST_CHAIN = 8  # of `extends`


LOCAL = ("auto", "transformers", "vllm")  # kinds of engines that load the model themselves


def shipped_scenarios() -> dict[str, Path]:
    """Returns the scenarios that come with the package, by name."""
    folder = Path(str(importlib.resources.files("scenarios")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(name: str) -> Path:
    """Returns the file of a scenario given by path or by name.

    Raises:
        ScenarioError: no file and no shipped scenario has that name.
    """
    if name.endswith((".yaml", ".yml")) or os.path.isfile(name):
        return Path(name)
    shipped = shipped_scenarios()
    if name in shipped:
        found = shipped[name]
        here = Path.cwd()
        return found.relative_to(here) if found.is_relative_to(here) else found
    raise ScenarioError(unknown("scenario", name, shipped))


def load(
    source: str = DEFAULT,
    *,
    overrides: Sequence[str] = (),
    biased_frac: float | None = None,
    options: dict[str, Any] | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Scenario:
    """Reads a scenario and lays the command line over it.

    Args:
        source: a path, or the name of a shipped scenario.
        overrides: `path.to.key=value`, the value in YAML; laid over the options.
        biased_frac: the biased types' share in all; the others share the rest as before.
        options: values of top-level keys from options such as `--seed`.
        tell: is told what was chosen for each backend of kind `auto`, and why.

    Raises:
        ScenarioError: lists the mistakes, each with file, line and YAML path.
    """
    document = _with_parents(find(source), ())
    for given in (*_from_options(options or {}), *map(_parse_override, overrides)):
        document = yaml_source.merged(_with_kind_of_backend(document, given), given)
    if biased_frac is not None:
        document = _with_biased_fraction(document, biased_frac)
    complete = with_located_files(_with_situations(document), source)
    return _decided(validate(complete, source), tell)


def _decided(scenario: Scenario, tell: Callable[[str], None]) -> Scenario:
    """Puts what this machine has in place of every `auto`, so that a run records it."""

    def decide(config: AnyBackend, path: str) -> AnyBackend:
        if not isinstance(config, AutoConfig):
            return config
        chosen = config.chosen
        why = "vLLM is installed" if chosen.kind == "vllm" else "vLLM isn't installed"
        tell(f"{path}: {chosen.kind} (auto: {why})")
        return chosen

    roles = {
        name: role.model_copy(update={"backend": decide(role.backend, f"roles.{name}.backend")})
        for name, role in scenario.roles.items()
    }
    backend = decide(scenario.backend, "backend")
    decided = scenario.model_copy(update={"backend": backend, "roles": roles})
    return with_memory_shares(decided)


def _with_situations(document: Document) -> Document:
    """Puts the situations of the named files in place of their name."""
    data = document.data
    if not isinstance(data, dict) or not isinstance(name := data.get("situations"), str):
        return document
    found = load_situations(name, origin_of(document, ("situations",), name))
    return document._replace(data={**data, "situations": found})


def _with_parents(path: Path, children: tuple[Path, ...]) -> Document:
    if path.resolve() in children or len(children) >= LONGEST_CHAIN:
        raise ScenarioError(
            f"{path}: extends: invalid chain of files; it is circular or longer than "
            f"{LONGEST_CHAIN}"
        )
    document = with_present_names(yaml_source.read(path))
    if not isinstance(document.data, dict):
        raise ScenarioError(f"{path}:1: invalid scenario; it must be a mapping of keys to values")
    parent = document.data.pop("extends", None)
    if parent is None:
        return document
    beside = path.parent / str(parent)
    try:
        found = beside if os.path.isfile(beside) else find(str(parent))
        if not os.path.isfile(found):
            raise ScenarioError(f"file '{beside}' not found")
    except ScenarioError as error:
        raise error.within(f"{document.origins[('extends',)]}: extends") from None
    return yaml_source.merged(_with_parents(found, (*children, path.resolve())), document)


def _from_options(options: dict[str, Any]) -> Iterator[Document]:
    for key, value in options.items():
        origin = Origin(f"--{key.replace('_', '-')}", None)
        yield Document({key: value}, {(key,): origin})


def _with_kind_of_backend(document: Document, given: Document) -> Document:
    """Changes the assistant's engine to a given kind, and keeps what engines have in common.

    That is what `auto` leaves to the scenario; an endpoint has nothing of it.
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


def _parse_override(override: str) -> Document:
    path_text, equals, value = override.partition("=")
    keys = path_text.strip().split(".")
    if not equals or not all(keys):
        raise ScenarioError(f"--set {override}: invalid override; write path.to.key=value")
    label = f"--set {override}"
    path: YamlPath = tuple(int(key) if key.isdecimal() else key for key in keys)
    parsed = yaml_source.parse(value, label, path, lines=False)
    data = parsed.data
    for key in reversed(keys):
        data = {key: data}
    above = {path[:n]: Origin(label, None) for n in range(1, len(path) + 1)}
    return with_present_names(Document(data, {**above, **parsed.origins}))


def _with_biased_fraction(document: Document, fraction: float) -> Document:
    """Rescales the shares so that the types marked `biased` have `fraction` in all."""
    if not 0 <= fraction <= 1:
        raise ScenarioError(f"--biased-frac {fraction:g}: invalid share; must be from 0 to 1")
    population = document.data.get("population")
    types = population.get("types") if isinstance(population, dict) else None
    if not isinstance(types, dict):
        return document  # validation says what is wrong with it
    groups: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for name, user_type in types.items():
        if not isinstance(user_type, dict) or not isinstance(user_type.get("share"), int | float):
            return document  # validation says what is wrong with it
        groups[bool(user_type.get("biased", False))][name] = float(user_type["share"])
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


def validate(document: Document, source: str) -> Scenario:
    """Checks a document against the model, and the parts of the scenario against each other.

    Raises:
        ScenarioError: lists all mistakes.
    """
    scenario = validated(Scenario, document, source)
    mistakes = refusal(unmet_needs(scenario), document, source).mistakes
    try:
        complete = with_data(scenario, document, source)
    except ScenarioError as error:
        mistakes += error.mistakes
    if mistakes:
        raise ScenarioError(*mistakes)
    return complete


def measure_only(
    kinds: Sequence[str], overrides: Sequence[str], scenario: Scenario
) -> MeasureConfig:
    """Returns the measurement by these probes with `key=value` laid over their settings.

    Args:
        kinds: probes of the scenario, by name, or else kinds of probes.
        overrides: laid over the scenario's settings of a probe, or over a kind's defaults.
        scenario: whose probes are meant.

    Raises:
        ScenarioError: a kind or a setting is unknown.
    """
    known = {name: probe.model_dump() for name, probe in scenario.measure.probes.items()}
    probes = {kind: known.get(kind, {"kind": kind}) for kind in kinds}
    document = Document({"probes": probes}, {(): Origin("--probes", None)})
    for override in overrides:
        key, _, value = override.partition("=")
        for kind in kinds:
            laid = _parse_override(f"probes.{kind}.{key}={value}")
            document = yaml_source.merged(document, laid)
    return validated(MeasureConfig, document, "--probes")
