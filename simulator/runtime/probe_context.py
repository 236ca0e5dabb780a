"""The data that probes ask about: found and checked with the scenario, then given to the probes."""

from pathlib import Path
from typing import TYPE_CHECKING

from simulator.config.document import Document, YamlPath, dotted
from simulator.config.paths import located
from simulator.config.phases import FinetunePhase, finetune_rows
from simulator.config.validation import origin_of
from simulator.core.errors import ScenarioError
from simulator.core.requests import ADAPTER_WEIGHTS, Example
from simulator.data.contrasts import contrasts_of
from simulator.data.lengths import tokens_by
from simulator.data.rows import read_rows
from simulator.models.resolve import resolve, world_or_none
from simulator.probes.base import Context, Encounter
from simulator.probes.data_probe import DataProbe
from simulator.probes.interp.directions import DirectionsProbe
from simulator.probes.interp.solution import SolutionProbe
from simulator.worlds.synthetic import World

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


def with_data(scenario: "Scenario", document: Document, source: str) -> "Scenario":
    """Returns the scenario with every path that probes have made absolute, so that it can resume.

    Raises:
        ScenarioError: data can't be found or used; names the scenario's line and the data's row.
    """
    probes = dict(scenario.measure.probes)
    for name, probe in probes.items():
        path: YamlPath = ("measure", "probes", name)
        if isinstance(probe, DataProbe) and probe.data:
            origin = origin_of(document, (*path, "data"), source)
            place = located(probe.data, origin)
            try:
                probe.items(read_rows(place))
            except ScenarioError as error:
                raise ScenarioError(f"{origin}: {dotted((*path, 'data'))}: {error}") from None
            probes[name] = probe.model_copy(update={"data": place})
        if isinstance(probe, DirectionsProbe):
            folders = {
                other: _adapter(folder, document, (*path, "transfer", other), source)
                for other, folder in probe.transfer.items()
            }
            probes[name] = probe.model_copy(update={"transfer": folders})
    measure = scenario.measure.model_copy(update={"probes": probes})
    return scenario.model_copy(update={"measure": measure})


def _adapter(folder: str, document: Document, path: YamlPath, source: str) -> str:
    """Returns the place of another run's checkpoint."""
    origin = origin_of(document, path, source)
    place = located(folder, origin)
    if not (Path(place) / ADAPTER_WEIGHTS).is_file():
        raise ScenarioError(
            f"{origin}: {dotted(path)}: there is no {ADAPTER_WEIGHTS} in '{folder}'"
        )
    return place


def context_of(scenario: "Scenario") -> Context:
    """Returns what the scenario's probes may know.

    Raises:
        ScenarioError: their data can't be read.
    """
    probes = scenario.measure.probes.values()
    sources = {probe.data for probe in probes if isinstance(probe, DataProbe) and probe.data}
    data = {source: read_rows(source) for source in sorted(sources)}
    world = world_or_none(scenario.model)
    contrasts = contrasts_of(scenario.directions, world)
    encounters = [
        Encounter(s.name, s.openings[0], s.biased_thoughts, s.benign_thoughts)
        for s in scenario.situations
    ]
    return Context(world, scenario.seed, data, contrasts, _lessons(scenario, world), encounters)


def _lessons(scenario: "Scenario", world: World | None) -> dict[str, list[Example]]:
    """Returns the rows of the fine-tuning phases that probes ask about."""
    probes = scenario.measure.probes.values()
    names = {probe.phase for probe in probes if isinstance(probe, SolutionProbe)}
    tokens = tokens_by(resolve(scenario.model))
    return {
        phase.name: finetune_rows(scenario.phases, index, world, scenario.seed, tokens)
        for index, phase in enumerate(scenario.phases)
        if phase.name in names and isinstance(phase, FinetunePhase)
    }
