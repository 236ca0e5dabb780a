"""The work of a run, estimated before it: what each round's stages read, write and learn.

Replies are taken to be as long as they may be, ratings as drawn at random, and all users to take
part. Only what is done here is counted: what endpoints and servers do takes time elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from simulator.backends.config import AutoConfig, TransformersConfig
from simulator.config.phases import FinetunePhase, LoopPhase
from simulator.config.scenario import Scenario
from simulator.core.progress import CHARACTERS_PER_TOKEN, LEARNING, READING, task_of, times_asked
from simulator.core.requests import Request, question_of
from simulator.core.rng import stream
from simulator.data.lengths import tokens_of
from simulator.learners.config import SFTConfig, UpdateConfig
from simulator.probes.base import Context
from simulator.runtime.collapse import ASKED
from simulator.runtime.known_items import questions_before
from simulator.runtime.phase_data import finetune_rows
from simulator.runtime.row_checks import check_of
from simulator.runtime.upper_bounds import (
    asked_by_probes,
    conversation_bounds,
    conversations_per_round,
    example_tokens,
)
from simulator.simulation.config import ASSISTANT
from simulator.simulation.conversation import Candidate

TALKS_DRAWN = 2_000  # conversations whose selection is tried; of more, as large a share is selected


@dataclass(frozen=True)
class Work:
    """What a stage of one round does, at most."""

    requests: int = 0
    read: float = 0.0  # tokens of prompts
    written: float = 0.0  # tokens of replies
    learned: float = 0.0  # tokens of training examples, over all epochs
    prompts: int = 0  # that are read

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.requests + other.requests,
            self.read + other.read,
            self.written + other.written,
            self.learned + other.learned,
            self.prompts + other.prompts,
        )

    def times(self, count: int) -> "Work":
        """Return the work of several rounds."""
        return Work(
            count * self.requests,
            count * self.read,
            count * self.written,
            count * self.learned,
            count * self.prompts,
        )

    @property
    def cost(self) -> float:
        """Its cost, as progress counts it."""
        return READING * self.read + self.written + LEARNING * self.learned


@dataclass(frozen=True)
class Plan:
    """The work of each stage of a run."""

    scenario: Scenario
    context: Context

    @cached_property
    def asked_here(self) -> list[tuple[str, str | None, Sequence[Request]]]:
        """What one measurement asks of models in this process; see `asked_by_probes`."""
        found = asked_by_probes(self.scenario, self.context)
        return [one for one in found if is_here(self.scenario, one[1] or ASSISTANT)]

    @cached_property
    def probes(self) -> Work:
        """The work of one measurement."""
        found = Work()
        for _, _, requests in self.asked_here:
            task = task_of(requests)
            prompts = sum(times_asked(question_of(request)) for request in requests)
            read = (task.cost - task.tokens) / READING
            found += Work(task.total, read, task.tokens, prompts=prompts)
        return found

    @cached_property
    def beliefs(self) -> Work:
        """The work of asking what the base knows, before any round."""
        if not is_here(self.scenario, ASSISTANT):
            return Work()
        task = task_of(questions_before(self.context.world))
        return Work(task.total, task.cost / READING)

    @cached_property
    def conversations(self) -> Work:
        """The work of one round's conversations and monitors."""
        found = Work()
        for bound in conversation_bounds(self.scenario):
            if is_here(self.scenario, bound.role):
                work = Work(bound.requests, bound.tokens_read, bound.tokens_written)
                samples = self.scenario.conversations.candidates if bound.role == ASSISTANT else 1
                found += replace(work, prompts=bound.requests // samples)
        return found

    @cached_property
    def selected(self) -> tuple[int, int]:
        """How many desirable and undesirable replies a round selects if ratings are chance."""
        config, talks = self.scenario.conversations, conversations_per_round(self.scenario)
        shape = (min(talks, TALKS_DRAWN), config.turns, config.candidates)
        talk, turn, candidate = (axis.ravel() for axis in np.indices(shape))
        drawn = stream("plan", self.scenario.seed)
        known = {
            "round": 1,
            "conversation": [f"{n:06d}" for n in talk],
            "wave": 0,
            "number": talk,
            "turn": turn,
            "candidate": candidate,
            "rating": drawn.uniform(1, 5, talk.size),
            "heard": candidate == 0,
            "user_type": "user",
            "about": [f"{n % max(1, len(self.scenario.situations)):04d}" for n in talk],
            "biased": False,
            "tokens": config.max_new_tokens,
        }
        rows = pd.DataFrame(dict.fromkeys(Candidate._fields) | known)
        label = self.scenario.selection.decide(rows, 0).labels(rows)
        scale = talks / max(1, shape[0])
        return round(scale * (label == 1).sum()), round(scale * (label == -1).sum())

    def update(self, number: int) -> Work:
        """Return the work of a round's update."""
        place = self.scenario.places[number - 1]
        learner = self.scenario.learner_in(place.phase)
        if not isinstance(learner, UpdateConfig):
            return Work()
        if isinstance(place.phase, FinetunePhase):
            tokens, rows = (n / place.parts for n in self._given(place.index, learner))
        else:
            desirable, undesirable = self.selected
            rows = desirable if isinstance(learner, SFTConfig) else desirable + undesirable
            tokens = rows * example_tokens(self.scenario)
        lessons = Work(round(rows * learner.epochs), learned=tokens * learner.epochs)
        return lessons + self._collapse if learner.collapse else lessons

    @property
    def _collapse(self) -> Work:
        """The work of looking for a collapse, before an update and after it."""
        if not is_here(self.scenario, ASSISTANT):
            return Work()
        replies = 2 * ASKED
        read = 2 * replies * example_tokens(self.scenario)  # each is scored, too
        written = replies * self.scenario.conversations.max_new_tokens
        return Work(read=read, written=written, prompts=2 * replies)

    def _given(self, index: int, learner: UpdateConfig) -> tuple[float, int]:
        """Return the tokens and the number of a fine-tuning phase's rows."""
        scenario = self.scenario
        world, check = scenario.world, check_of(scenario)
        count = tokens_of(scenario.backend, scenario.assistant_ref)
        rows = finetune_rows(scenario.phases, index, world, scenario.seed, count, check)
        learned = learner.learned(rows)
        contexts = (len(m.content) for row in learned for m in row.messages)
        return sum(contexts) / CHARACTERS_PER_TOKEN + float(count(learned).sum()), len(learned)

    def of(self, number: int) -> dict[str, Work]:
        """Return the work of a round's stages, in their order."""
        found = {}
        if number == 0 and self.beliefs.requests:
            found["beliefs"] = self.beliefs
        if number > 0:
            if isinstance(self.scenario.places[number - 1].phase, LoopPhase):
                found["conversations"] = self.conversations
            found["update"] = self.update(number)
        if number in self.scenario.measured_rounds:
            found["probes"] = self.probes
        return found

    def after(self, number: int, stage: str) -> float:
        """Return the cost of all that comes after a stage of a round."""
        here = self.of(number)
        names = list(here)
        rest = names[names.index(stage) + 1 :] if stage in names else names
        later = range(number + 1, self.scenario.last_round + 1)
        return sum(here[name].cost for name in rest) + sum(
            work.cost for n in later for work in self.of(n).values()
        )


def is_here(scenario: Scenario, role: str) -> bool:
    """Return whether a role's model works in this process."""
    config = scenario.roles.get(role)
    backend = config.backend if config else scenario.backend
    chosen = backend.chosen if isinstance(backend, AutoConfig) else backend
    return isinstance(chosen, TransformersConfig)
