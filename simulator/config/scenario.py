"""Scenarios: everything that defines a run, read from YAML and checked before the run."""

from datetime import date
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from agents.registry import AnyMonitor
from agents.situations import Situation
from simulator.backends.config import AnyBackend, OpenAIConfig, TransformersConfig
from simulator.config.phases import AnyPhase, LoopPhase, Place, ProbePhase, places
from simulator.core.config import MOST_ROUNDS, ByName, Config, Count, Many, Name, Number, PathText
from simulator.data.contrasts import DirectionConfig
from simulator.learners.config import AnyLearner, NoUpdateConfig
from simulator.models.reference import TEMPLATE_DATE, ModelRef
from simulator.models.resolve import resolve, weights_sha256, world_or_none
from simulator.probes.registry import AnyProbe
from simulator.simulation.config import (
    ConversationConfig,
    PopulationConfig,
    RoleConfig,
    ScreeningConfig,
)
from simulator.simulation.selection import AnySelection
from simulator.worlds.base import World
from simulator.worlds.fact_config import FactsConfig


class MeasureConfig(Config):
    """The probes, and when to run them: always after round 0 and after each phase."""

    every: Count = Field(1, ge=1, le=10_000, description="Measure after every n-th round.")
    baseline: str | None = Field(
        None, description="The phase from whose end drift counts; empty: from round 0."
    )
    probes: ByName[AnyProbe] = Field(min_length=1, description="Probes by name.")

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

    @model_validator(mode="after")
    def _estimates_nothing_twice(self) -> Self:
        """Refuse probes of two kinds that estimate one metric, each for its kind of model."""
        first: dict[str, tuple[str, str]] = {}
        for name, probe in self.probes.items():
            for metric in probe.metrics:
                kind, other = first.setdefault(metric.name, (probe.kind, name))
                if kind != probe.kind:
                    raise ValueError(
                        f"duplicate metric: '{name}' and '{other}' both estimate '{metric.name}'; "
                        "leave one out"
                    )
        return self


class Scenario(Config):
    """A whole experiment."""

    name: Name = Field(description="Name of the run's folder.")
    description: str = ""
    seed: Count = Field(0, ge=0, le=2**53, description="Seed of all random choices in the run.")
    rounds: Count = Field(
        ge=1, le=MOST_ROUNDS, description="Number of rounds: conversations, then an update."
    )
    phases: Many[AnyPhase] = Field(
        (LoopPhase(),), min_length=1, description="The phases of the run, in order."
    )
    model: PathText = Field(
        "organism:0",
        description="organism:N for a shipped base, a name that `models` lists, as smollm2, a "
        "local folder, a GGUF file, or a hub id.",
    )
    template_date: str = Field(
        TEMPLATE_DATE, description="The date that chat templates take for today, as YYYY-MM-DD."
    )
    backend: AnyBackend = TransformersConfig()
    facts: FactsConfig | None = Field(
        None,
        description="Facts that users ask a pretrained model about; empty: an organism's own "
        "world, or situations.",
    )
    roles: ByName[RoleConfig] = Field(
        {}, description="Models of users, raters, monitors, judges; default: the assistant's base."
    )
    situations: Many[Situation] = Field(
        (),
        description="Situations of users that a model plays: a shipped folder, a file, or a list.",
    )
    population: PopulationConfig
    conversations: ConversationConfig = ConversationConfig()
    selection: AnySelection
    monitors: ByName[AnyMonitor] = Field(
        {}, description="Monitors by name; they check selected replies before the update."
    )
    directions: ByName[DirectionConfig] = Field(
        {}, description="Directions of the residual stream, by name, for probes and screening."
    )
    screening: ScreeningConfig | None = Field(
        None, description="Drops selected replies that lie far along a direction; empty: none."
    )
    learner: AnyLearner
    measure: MeasureConfig
    cost_cap: Number | None = Field(
        None,
        gt=0,
        le=1e9,
        description="Stop the run, resumably, when endpoints have cost this much.",
    )

    @field_validator("template_date")
    @classmethod
    def _is_a_date(cls, text: str) -> str:
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise ValueError(f"invalid date '{text}'; write it as {TEMPLATE_DATE}") from None

    @property
    def assistant_ref(self) -> ModelRef:
        """The assistant's base with its settings of loading."""
        return self._ref(self.model, self.backend)

    @property
    def model_sha256(self) -> str | None:
        """The hash of the base's weights, or None where they aren't one local file."""
        return None if isinstance(self.backend, OpenAIConfig) else weights_sha256(self.model)

    def role_ref(self, role: RoleConfig) -> ModelRef:
        """Return the model of a role with its settings of loading."""
        return self._ref(role.model, role.backend)

    def _ref(self, model: str, backend: AnyBackend) -> ModelRef:
        """Return a model's reference; an endpoint's model is only a name."""
        if isinstance(backend, OpenAIConfig):
            return ModelRef(model)
        return resolve(model)._replace(
            trust_remote_code=backend.trust_remote_code, template_date=self.template_date
        )

    @property
    def world(self) -> World | None:
        """The world that users and probes ask about: facts, or what an organism was trained on.

        Raises:
            ScenarioError: the facts can't be used.
        """
        return world_or_none(self.model) if self.facts is None else self.facts.world(self.seed)

    @property
    def places(self) -> list[Place]:
        """The position of each round; the first entry is that of round 1."""
        return places(self.phases, self.rounds)

    @property
    def last_round(self) -> int:
        """The number of the last round; round 0 comes before any update."""
        return len(self.places)

    @property
    def measured_rounds(self) -> list[int]:
        """The rounds after which the assistant is measured: every n-th, and the end of phases."""
        places = self.places
        return [
            number
            for number in range(self.last_round + 1)
            if number % self.measure.every == 0 or places[number - 1].last
        ]

    def learner_in(self, phase: AnyPhase) -> AnyLearner:
        """Return the learner of a phase."""
        if isinstance(phase, ProbePhase):
            return NoUpdateConfig()
        return phase.learner or self.learner

    @property
    def learners(self) -> list[AnyLearner]:
        """The learner of each phase."""
        return [self.learner_in(phase) for phase in self.phases]

    @property
    def loop_rounds(self) -> int:
        """The number of rounds with conversations."""
        return sum(isinstance(place.phase, LoopPhase) for place in self.places)

    @property
    def biased_share(self) -> float:
        """The share of biased users in the population."""
        return sum(t.share for t in self.population.types.values() if t.biased)

    @property
    def asked_roles(self) -> frozenset[str]:
        """The roles in use."""
        types = self.population.types.values()
        askers: tuple[Any, ...] = (
            *(t.policy for t in types),
            *(t.rater for t in types),
            *self.monitors.values(),
            *self.measure.probes.values(),
        )
        return frozenset().union(*(asker.roles for asker in askers))
