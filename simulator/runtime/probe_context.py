"""The context of probes: their data, directions and situations."""

from typing import TYPE_CHECKING

from simulator.config.phases import FinetunePhase
from simulator.core.examples import Example
from simulator.data.contrasts import contrasts_of
from simulator.data.lengths import tokens_of
from simulator.data.rows import read_rows
from simulator.probes.base import Context, Encounter
from simulator.runtime.phase_data import finetune_rows
from simulator.runtime.row_checks import check_of
from simulator.worlds.base import World

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


def context_of(scenario: "Scenario", world: World | None) -> Context:
    """Return the context of the scenario's probes.

    Args:
        scenario: names the probes.
        world: the scenario's, with the items that are asked about.

    Raises:
        ScenarioError: their data can't be read.
    """
    probes = scenario.measure.probes.values()
    sources = {source for probe in probes for source in probe.data_sources.values()}
    data = {source: read_rows(source) for source in sorted(sources)}
    contrasts = contrasts_of(scenario.directions, world, check_of(scenario))
    encounters = [
        Encounter(s.name, s.openings[0], s.biased_thoughts, s.benign_thoughts)
        for s in scenario.situations
    ]
    return Context(world, scenario.seed, data, contrasts, _lessons(scenario, world), encounters)


def _lessons(scenario: "Scenario", world: World | None) -> dict[str, list[Example]]:
    """Return the rows of the fine-tuning phases that probes use."""
    probes = scenario.measure.probes.values()
    names = {name for probe in probes for name in probe.phases.values()}
    tokens, check = tokens_of(scenario.backend, scenario.assistant_ref), check_of(scenario)
    return {
        phase.name: finetune_rows(scenario.phases, index, world, scenario.seed, tokens, check)
        for index, phase in enumerate(scenario.phases)
        if phase.name in names and isinstance(phase, FinetunePhase)
    }
