"""Reads all chats that a scenario names, before any work: mistakes in them cost no run."""

from simulator import models
from simulator.direction_data import contrasts_of
from simulator.lengths import tokens_by
from simulator.phases import check_data
from simulator.scenario import Scenario


def check_chats(scenario: Scenario) -> None:
    """Reads what phases learn from and directions are made of, and sees to it that it suits.

    Raises:
        ScenarioError: some can't be had, or don't suit; names where the scenario asks for them.
    """
    world, tokens = models.world_or_none(scenario.model), tokens_by(models.resolve(scenario.model))
    check_data(scenario.phases, scenario.learners, world, scenario.seed, tokens)
    contrasts_of(scenario.directions, world)
