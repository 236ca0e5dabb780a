"""Upper bounds of a run by counting, without loading models or asking endpoints."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from agents.llm_monitors import ModelMonitor
from agents.llm_raters import LLMRater
from agents.llm_users import LLMUser
from agents.registry import AnyRater, CompositeRater
from simulator.backends.config import OpenAIConfig
from simulator.config.scenario import Scenario
from simulator.core.progress import CHARACTERS_PER_TOKEN
from simulator.core.requests import (
    ActivationsRequest,
    Answer,
    Completion,
    Generation,
    GenerationRequest,
    NextTokenRequest,
    Question,
    Request,
    question_of,
)
from simulator.probes.base import Context
from simulator.runtime.probe_context import context_of
from simulator.simulation.config import ASSISTANT

LAYERS = 512  # more than any model has
TOKENS_OF_A_NUMBER = 1


class Bound(NamedTuple):
    """An upper bound of one role's requests, in a round or in a run."""

    role: str
    what: str
    requests: int
    tokens_read: int
    tokens_written: int

    def times(self, rounds: int) -> "Bound":
        """Return the bound of several rounds."""
        counts = (rounds * n for n in self[2:])
        return Bound(self.role, self.what, *counts)


def bounds(scenario: Scenario) -> list[Bound]:
    """Return an upper bound of each role's requests; "assistant" is the model under study.

    Conversations and replies are assumed to have their largest length, and all examples to pass
    selection.
    """
    talks, measured = scenario.loop_rounds, len(scenario.measured_rounds)
    return [
        *(bound.times(talks) for bound in conversation_bounds(scenario)),
        *(
            bound.times(measured)
            for bound in probe_bounds(scenario, context_of(scenario, scenario.world))
        ),
    ]


def conversation_bounds(scenario: Scenario) -> list[Bound]:
    """Return what one round's conversations ask for at most, with its monitors."""
    return [*_conversations(scenario), *_monitors(scenario)]


def cost(scenario: Scenario, found: list[Bound]) -> float:
    """Return an upper bound of the endpoints' costs, by the scenario's prices."""
    total = 0.0
    for bound in found:
        config = scenario.roles.get(bound.role)
        backend = config.backend if config else scenario.backend  # the assistant's plays the rest
        if isinstance(backend, OpenAIConfig):
            total += bound.tokens_read * backend.input_price / 1e6
            total += bound.tokens_written * backend.output_price / 1e6
    return total


def conversations_per_round(scenario: Scenario) -> int:
    """Return the number of conversations per round, if all users take part."""
    people = scenario.population
    return round(people.users * people.active * scenario.conversations.per_user)


def example_tokens(scenario: Scenario) -> float:
    """Return the length of an example from a conversation, its context included, in tokens.

    It is that of the turn in the middle, as long as it may be.
    """
    config = scenario.conversations
    turn = config.max_new_tokens + _user_tokens(scenario)
    return len(config.system) / CHARACTERS_PER_TOKEN + turn * (config.turns + 1) / 2


def longest_chat(scenario: Scenario) -> int:
    """Return the length of a conversation before its last reply, in tokens."""
    config = scenario.conversations
    turn = config.max_new_tokens + _user_tokens(scenario)
    system = len(config.system) // CHARACTERS_PER_TOKEN
    return system + turn * config.turns - config.max_new_tokens


def _conversations(scenario: Scenario) -> Iterator[Bound]:
    config, talks = scenario.conversations, conversations_per_round(scenario)
    turn = config.max_new_tokens + _user_tokens(scenario)
    history = turn * config.turns * (config.turns - 1) // 2  # read again at every turn
    system = len(config.system) // CHARACTERS_PER_TOKEN
    replies = talks * config.turns * config.candidates
    yield Bound(
        "assistant",
        "replies in conversations",
        replies,
        talks * (history + config.turns * (system + _user_tokens(scenario))),
        replies * config.max_new_tokens,
    )
    for name, user_type in scenario.population.types.items():
        policy, rater = user_type.policy, user_type.rater
        theirs = round(talks * user_type.share)
        if isinstance(policy, LLMUser):
            asked, told = theirs * (config.turns - 1), _instruction_tokens(scenario, policy.prompt)
            read = theirs * history + asked * told
            yield Bound(
                policy.role, f"what {name} users say", asked, read, asked * policy.max_new_tokens
            )
        rated = theirs * config.turns * config.candidates
        for model in _models_of(rater):
            read = rated * (
                _instruction_tokens(scenario, model.prompt) + turn * config.turns // 2 + turn
            )
            written = rated * TOKENS_OF_A_NUMBER
            yield Bound(model.role, f"how {name} users rate", rated, read, written)


def _models_of(rater: AnyRater) -> list[LLMRater]:
    """Return the models' parts of a rater."""
    if isinstance(rater, CompositeRater):
        return [asked for part in rater.parts for asked in _models_of(part.rater)]
    return [rater] if isinstance(rater, LLMRater) else []


def _monitors(scenario: Scenario) -> Iterator[Bound]:
    config = scenario.conversations
    examples = conversations_per_round(scenario) * config.turns
    chat = (config.max_new_tokens + _user_tokens(scenario)) * config.turns
    asking = {n: m for n, m in scenario.monitors.items() if isinstance(m, ModelMonitor)}
    for name, monitor in asking.items():
        questions = len(getattr(monitor, "principles", ("one",))) * examples
        told = len(monitor.prompt) // CHARACTERS_PER_TOKEN
        yield Bound(
            monitor.role,
            f"vetoes of {name}",
            questions,
            questions * (told + chat),
            questions * TOKENS_OF_A_NUMBER,
        )


def probe_bounds(scenario: Scenario, context: Context) -> Iterator[Bound]:
    """Yield what one measurement asks for at most."""
    for name, role, requests in asked_by_probes(scenario, context):
        what = f"probe {name}" if role is None else f"judgements of {name}"
        what = f"what probe {name} asks next" if role == ASSISTANT else what
        read = sum(len(request.prompt.shown) for request in requests) // CHARACTERS_PER_TOKEN
        written = sum(_tokens_written(question_of(request)) for request in requests)
        yield Bound(role or ASSISTANT, what, len(requests), read, written)


def asked_by_probes(
    scenario: Scenario, context: Context
) -> Iterator[tuple[str, str | None, Sequence[Request]]]:
    """Yield the requests of one measurement: by each probe, and then by what it reads.

    Yields:
        The probe's name, the role that answers (None for what the assistant is asked first), and
        the requests.
    """
    for name, probe in scenario.measure.probes.items():
        requests = probe.requests(context)
        yield name, None, requests
        if probe.roles:
            asked = probe.score(context, requests, list(map(_longest, requests))).requests
            for role in sorted(probe.roles):
                yield name, role, [a.request for a in asked if a.role == role]


def _longest(request: Request) -> Answer:
    """Return an answer of the largest length; numbers are empty, as nothing depends on them."""
    question = question_of(request)
    if isinstance(question, GenerationRequest):
        text = "x" * (CHARACTERS_PER_TOKEN * question.max_new_tokens)
        longest = Completion(text, question.max_new_tokens, "length", thought=text)
        return Generation("", (longest,) * len(question.keys))
    if isinstance(question, NextTokenRequest):
        return (
            0.0,
            *(-math.inf for _ in question.tokens[1:]),
        )  # certain, so all follow-up requests are made
    return np.zeros((LAYERS, 1), np.float32) if isinstance(question, ActivationsRequest) else 0.0


def _tokens_written(question: Question) -> int:
    """Return the largest number of tokens written for one question."""
    if isinstance(question, GenerationRequest):
        return len(question.keys) * question.max_new_tokens
    return 0 if isinstance(question, ActivationsRequest) else TOKENS_OF_A_NUMBER


def _user_tokens(scenario: Scenario) -> int:
    """Return the length of a user's longest message, in tokens."""
    policies = [user_type.policy for user_type in scenario.population.types.values()]
    played = [p.max_new_tokens for p in policies if isinstance(p, LLMUser)]
    return max(played, default=scenario.conversations.max_new_tokens)


def _instruction_tokens(scenario: Scenario, template: str) -> int:
    """Return the length of the instructions of a model-played user or rater, in tokens."""
    situation = max(
        (len(s.task) + max(len(s.benign_thoughts), len(s.biased_thoughts)))
        for s in scenario.situations
    )
    background = 400  # characters; see `agents.personas`
    return (len(template) + situation + background) // CHARACTERS_PER_TOKEN
