"""Reads all chats that a scenario names, before any work: mistakes in them cost no run."""

from simulator.config.phases import check_data
from simulator.config.scenario import Scenario
from simulator.data.contrasts import contrasts_of
from simulator.data.lengths import tokens_by
from simulator.models.resolve import resolve, world_or_none


def check_chats(scenario: Scenario) -> None:
    """Reads what phases learn from and directions are made of, and sees to it that it suits.

    Raises:
        ScenarioError: some can't be had, or don't suit; names where the scenario asks for them.
    """
    world, tokens = world_or_none(scenario.model), tokens_by(resolve(scenario.model))
    check_data(scenario.phases, scenario.learners, world, scenario.seed, tokens)
    contrasts_of(scenario.directions, world)
