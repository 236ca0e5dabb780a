"""The data that probes ask about: found and checked with the scenario, then given to the probes."""

from typing import TYPE_CHECKING

from analysis.probes.base import Context
from analysis.probes.data_probe import DataProbe
from simulator import models
from simulator.data import read_rows
from simulator.data_files import located
from simulator.direction_data import contrasts_of
from simulator.errors import ScenarioError
from simulator.validation import origin_of
from simulator.yaml_source import Document, YamlPath, dotted

if TYPE_CHECKING:
    from simulator.scenario import Scenario


def with_data(scenario: "Scenario", document: Document, source: str) -> "Scenario":
    """Returns the scenario with every path of data made absolute, so that a run can be resumed.

    Raises:
        ScenarioError: data can't be found or used; names the scenario's line and the data's row.
    """
    probes = dict(scenario.measure.probes)
    for name, probe in probes.items():
        if isinstance(probe, DataProbe):
            path: YamlPath = ("measure", "probes", name, "data")
            origin = origin_of(document, path, source)
            place = located(probe.data, origin)
            try:
                probe.items(read_rows(place))
            except ScenarioError as error:
                raise ScenarioError(f"{origin}: {dotted(path)}: {error}") from None
            probes[name] = probe.model_copy(update={"data": place})
    measure = scenario.measure.model_copy(update={"probes": probes})
    return scenario.model_copy(update={"measure": measure})


def context_of(scenario: "Scenario") -> Context:
    """Returns what the scenario's probes may know.

    Raises:
        ScenarioError: their data can't be read.
    """
    probes = scenario.measure.probes.values()
    sources = {probe.data for probe in probes if isinstance(probe, DataProbe)}
    data = {source: read_rows(source) for source in sorted(sources)}
    world = models.world_or_none(scenario.model)
    return Context(world, scenario.seed, data, contrasts_of(scenario.directions, world))
