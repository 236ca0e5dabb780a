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
from simulator.runtime.probe_context import context_of
from simulator.simulation.config import ASSISTANT

CHARACTERS_PER_TOKEN = 4  # of English, roughly
LAYERS = 512  # more than any model has
TOKENS_OF_A_NUMBER = 1


class Bound(NamedTuple):
    """An upper bound of one role's requests in a run."""

    role: str
    what: str
    requests: int
    tokens_read: int
    tokens_written: int


def bounds(scenario: Scenario) -> list[Bound]:
    """Return an upper bound of each role's requests; "assistant" is the model under study.

    Conversations and replies are assumed to have their largest length, and all examples to pass
    selection.
    """
    return [*_conversations(scenario), *_monitors(scenario), *_probes(scenario)]


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


def _conversations(scenario: Scenario) -> Iterator[Bound]:
    config, talks = scenario.conversations, conversations_per_round(scenario) * scenario.loop_rounds
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
    examples = conversations_per_round(scenario) * scenario.loop_rounds * config.turns
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


def _probes(scenario: Scenario) -> Iterator[Bound]:
    measured = len(scenario.measured_rounds)
    context = context_of(scenario, scenario.world)
    for name, probe in scenario.measure.probes.items():
        requests = probe.requests(context)
        questions = map(question_of, requests)
        drawn = [question for question in questions if isinstance(question, GenerationRequest)]
        written = measured * sum(len(r.keys) * r.max_new_tokens for r in drawn)
        read = measured * sum(len(r.prompt.shown) for r in requests) // CHARACTERS_PER_TOKEN
        yield Bound("assistant", f"probe {name}", measured * len(requests), read, written)
        if probe.roles:
            asked = probe.score(context, requests, list(map(_longest, requests))).requests
            for role in sorted(probe.roles):
                yield _judged(role, name, [a.request for a in asked if a.role == role], measured)


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


def _judged(role: str, probe: str, asked: Sequence[Request], measured: int) -> Bound:
    read = sum(len(request.prompt.shown) for request in asked) // CHARACTERS_PER_TOKEN
    written = sum(_tokens_written(question_of(request)) for request in asked)
    counts = (measured * n for n in (len(asked), read, written))
    what = f"what probe {probe} asks next" if role == ASSISTANT else f"judgements of {probe}"
    return Bound(role, what, *counts)


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
