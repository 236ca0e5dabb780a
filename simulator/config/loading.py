"""From YAML files and the command line to a checked scenario."""

import contextlib
import importlib.resources
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from simulator.backends.config import AnyBackend, AutoConfig
from simulator.config import document as yaml_source
from simulator.config.compatibility import has_prices, unknown_bases, unmet_needs
from simulator.config.document import Document, Origin, origin_of
from simulator.config.known_secrets import known_secrets
from simulator.config.memory_shares import with_memory_shares
from simulator.config.overrides import (
    from_options,
    parse_override,
    with_biased_fraction,
    with_kind_of_backend,
)
from simulator.config.paths import with_bad_rows_skipped, with_data, with_located_files
from simulator.config.renamed import with_present_names
from simulator.config.scenario import MeasureConfig, Scenario
from simulator.config.situations import load_situations
from simulator.config.sizes import oversized
from simulator.config.validation import refusal, validated
from simulator.core.errors import ScenarioError, unknown

DEFAULT = "quickstart"


LONGEST_CHAIN = 8  # of `extends`


def shipped_scenarios() -> dict[str, Path]:
    """Return the scenarios that come with the package, by name."""
    folder = Path(str(importlib.resources.files("scenarios")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(name: str) -> Path:
    """Return the file of a scenario given by path or by name.

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


class Located(NamedTuple):
    """A scenario, and where each part of it was written."""

    scenario: Scenario
    document: Document
    source: str

    @contextlib.contextmanager
    def placing(self) -> Iterator[None]:
        """Put file and line before mistakes in what the scenario names, such as a phase's data."""
        try:
            yield
        except ScenarioError as error:
            mistakes = (
                yaml_source.placed(one, self.document, self.source) for one in error.mistakes
            )
            raise ScenarioError(*mistakes) from None


def load(
    source: str = DEFAULT,
    *,
    overrides: Sequence[str] = (),
    biased_frac: float | None = None,
    options: dict[str, Any] | None = None,
    skip_bad_rows: bool = False,
    notify: Callable[[str], None] = lambda sentence: None,
) -> Scenario:
    """Read a scenario and apply the command line to it; see `load_located`."""
    return load_located(
        source,
        overrides=overrides,
        biased_frac=biased_frac,
        options=options,
        skip_bad_rows=skip_bad_rows,
        notify=notify,
    ).scenario


def load_located(
    source: str = DEFAULT,
    *,
    overrides: Sequence[str] = (),
    biased_frac: float | None = None,
    options: dict[str, Any] | None = None,
    skip_bad_rows: bool = False,
    notify: Callable[[str], None] = lambda sentence: None,
) -> Located:
    """Read a scenario and apply the command line to it.

    Args:
        source: a path, or the name of a shipped scenario.
        overrides: `path.to.key=value`, the value in YAML; they win over the options.
        biased_frac: the total share of biased types; the others keep their proportions.
        options: values of top-level keys from options such as `--seed`.
        skip_bad_rows: whether every file of chats leaves out rows that can't be used.
        notify: is called with the choice for each backend of kind `auto`, and its reason, and
            with a cap that can't be reached.

    Raises:
        ScenarioError: lists the mistakes, each with file, line and YAML path.
    """
    document = _with_parents(find(source), ())
    for given in (*from_options(options or {}), *map(parse_override, overrides)):
        document = yaml_source.merged(with_kind_of_backend(document, given), given)
    if biased_frac is not None:
        document = with_biased_fraction(document, biased_frac)
    if skip_bad_rows:
        document = with_bad_rows_skipped(document)
    complete = with_located_files(_with_situations(document), source)
    loaded = _with_chosen_backends(validate(complete, source), notify)
    if loaded.cost_cap is not None and not has_prices(loaded):
        notify(
            "cost_cap: it is never reached, as no endpoint in use has prices; set input_price and "
            "output_price in its backend"
        )
    return Located(loaded, complete, source)


def _with_chosen_backends(scenario: Scenario, notify: Callable[[str], None]) -> Scenario:
    """Replace every `auto` by the engine of this machine, so that the run records it."""

    def choose(config: AnyBackend, path: str) -> AnyBackend:
        if not isinstance(config, AutoConfig):
            return config
        chosen = config.chosen
        why = "vLLM is installed" if chosen.kind == "vllm" else "vLLM isn't installed"
        notify(f"{path}: {chosen.kind} (auto: {why})")
        return chosen

    roles = {
        name: role.model_copy(update={"backend": choose(role.backend, f"roles.{name}.backend")})
        for name, role in scenario.roles.items()
    }
    backend = choose(scenario.backend, "backend")
    decided = scenario.model_copy(update={"backend": backend, "roles": roles})
    return with_memory_shares(decided)


def _with_situations(document: Document) -> Document:
    """Replace the name of situations by their content."""
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


def validate(document: Document, source: str) -> Scenario:
    """Check a document against the model, and the parts of the scenario against each other.

    Raises:
        ScenarioError: lists all mistakes.
    """
    scenario = validated(Scenario, document, source)
    for first in (oversized, unknown_bases):  # all else builds some of it, or looks into models
        if found := refusal(first(scenario), document, source).mistakes:
            raise ScenarioError(*found)
    wrong = (*known_secrets(scenario, document.data), *unmet_needs(scenario))
    mistakes = refusal(wrong, document, source).mistakes
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
    """Return the measurement by these probes, with settings overridden by `key=value`.

    Args:
        kinds: probes of the scenario, by name, or else kinds of probes.
        overrides: replace the scenario's settings of a probe, or a kind's defaults.
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
            laid = parse_override(f"probes.{kind}.{key}={value}")
            document = yaml_source.merged(document, laid)
    return validated(MeasureConfig, document, "--probes")
