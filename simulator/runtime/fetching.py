"""Fetching the models that a scenario names, before any work."""

from collections.abc import Callable, Iterable, Iterator

from simulator.config.scenario import Scenario
from simulator.models.library.cache import Source, source_of
from simulator.models.library.fetch import fetch, not_fetched
from simulator.runtime.model_checks import used_models


def fetch_models(scenarios: Iterable[Scenario], say: Callable[[str], None]) -> None:
    """Fetch and convert all models of some scenarios that aren't in the cache.

    Args:
        scenarios: name them.
        say: gets lines of progress.

    Raises:
        BackendError: one can't be had, converted or used.
        StoreError: the cache can't be written.
    """
    for source in _absent(scenarios):
        fetch(source, say)


def not_fetched_yet(scenario: Scenario) -> list[str]:
    """Return a sentence on each model of a scenario that isn't in the cache."""
    return [not_fetched(source) for source in _absent([scenario])]


def _absent(scenarios: Iterable[Scenario]) -> Iterator[Source]:
    used = (used.model.source for scenario in scenarios for used in used_models(scenario))
    for name in dict.fromkeys(used):
        source = source_of(name)
        if source is not None and not source.is_here:
            yield source
