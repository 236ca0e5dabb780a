"""Scenarios: everything that defines a run, read from YAML and checked before any work."""

from functools import cached_property
from typing import Any, Self

from pydantic import Field, model_validator

from agents.registry import AnyMonitor
from agents.situations import Situation
from simulator.backends.config import AnyBackend, TransformersConfig
from simulator.config.phases import AnyPhase, LoopPhase, Place, ProbePhase, places
from simulator.core.config import Config, Count, Number
from simulator.data.contrasts import DirectionConfig
from simulator.learners.config import AnyLearner, NoUpdateConfig
from simulator.probes.registry import AnyProbe
from simulator.simulation.config import (
    ConversationConfig,
    PopulationConfig,
    RoleConfig,
    ScreeningConfig,
)
from simulator.simulation.selection import AnySelection


class MeasureConfig(Config):
    """What is measured, and when. Round 0 and the last of each phase are always measured."""

    every: Count = Field(1, ge=1, description="Measure after every n-th round.")
    probes: dict[str, AnyProbe] = Field(min_length=1, description="Probes by name.")

    @model_validator(mode="after")
    def _measures_nothing_twice(self) -> Self:
        first: dict[str, str] = {}
        for name, probe in self.probes.items():
            for what in probe.measures:
                if what in first:
                    raise ValueError(
                        f"duplicate probe: '{name}' and '{first[what]}' both measure '{what}'"
                    )
                first[what] = name
        return self


class Scenario(Config):
    """A whole experiment."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="Names the run's folder.")
    description: str = ""
    seed: Count = Field(0, ge=0, description="All randomness of the run derives from it.")
    rounds: Count = Field(ge=1, description="Conversations, then an update: so many times.")
    phases: tuple[AnyPhase, ...] = Field(
        (LoopPhase(),), min_length=1, description="What happens, in order."
    )
    model: str = Field(
        "organism:0", description="organism:N for a shipped base, else a local path or a hub id."
    )
    backend: AnyBackend = TransformersConfig()
    roles: dict[str, RoleConfig] = Field(
        {}, description="Models of users, raters, monitors, judges; else the assistant's base."
    )
    situations: tuple[Situation, ...] = Field(
        (), description="What model-played users come with: a shipped folder, a file, or a list."
    )
    population: PopulationConfig
    conversations: ConversationConfig = ConversationConfig()
    selection: AnySelection
    monitors: dict[str, AnyMonitor] = Field(
        {}, description="They look at what was selected before it is learned from."
    )
    directions: dict[str, DirectionConfig] = Field(
        {}, description="Directions of the residual stream, by name, for probes and screening."
    )
    screening: ScreeningConfig | None = Field(
        None, description="Keeps replies along a direction from being learned from; empty: none."
    )
    learner: AnyLearner
    measure: MeasureConfig
    cost_cap: Number | None = Field(
        None, gt=0, description="Stop, so that it can be continued, when endpoints cost this much."
    )

    @cached_property
    def places(self) -> list[Place]:
        """Where each round stands; the first of them is that of round 1."""
        return places(self.phases, self.rounds)

    @property
    def last_round(self) -> int:
        """The number of the last round; round 0 comes before any update."""
        return len(self.places)

    @property
    def measured_rounds(self) -> list[int]:
        """The rounds after which the assistant is measured: every n-th, and the end of phases."""
        return [
            number
            for number in range(self.last_round + 1)
            if number % self.measure.every == 0 or self.places[number - 1].last
        ]

    def learner_in(self, phase: AnyPhase) -> AnyLearner:
        """Returns what makes the updates of a phase."""
        if isinstance(phase, ProbePhase):
            return NoUpdateConfig()
        return phase.learner or self.learner

    @property
    def learners(self) -> list[AnyLearner]:
        """What makes the updates of each phase."""
        return [self.learner_in(phase) for phase in self.phases]

    @property
    def loop_rounds(self) -> int:
        """How many rounds have conversations."""
        return sum(isinstance(place.phase, LoopPhase) for place in self.places)

    @property
    def biased_share(self) -> float:
        """The share of biased users in the population."""
        return sum(t.share for t in self.population.types.values() if t.biased)

    @property
    def asked_roles(self) -> frozenset[str]:
        """The roles that somebody asks."""
        types = self.population.types.values()
        askers: tuple[Any, ...] = (
            *(t.policy for t in types),
            *(t.rater for t in types),
            *self.monitors.values(),
            *self.measure.probes.values(),
        )
        return frozenset().union(*(asker.roles for asker in askers))
