"""Executes mixed requests on an engine, each kind as one batch."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext

from simulator.backends.base import Backend
from simulator.core import expected_score
from simulator.core.interventions import Intervention
from simulator.core.requests import (
    ActivationsRequest,
    Answer,
    Choices,
    ChoicesRequest,
    ContinuationRequest,
    DivergenceRequest,
    GenerationRequest,
    NextTokenRequest,
    NumberRequest,
    Numbers,
    Question,
    Request,
    TopTokens,
    TopTokensRequest,
    Under,
    question_of,
)


def answer(backend: Backend, requests: Iterable[Request]) -> list[Answer]:
    """Answer mixed requests in order; equal kinds under equal interventions are one batch."""
    requests = list(requests)
    answers: dict[int, Answer] = {}
    changes: dict[tuple[Intervention, ...], list[int]] = {}
    for i, request in enumerate(requests):
        changes.setdefault(request.interventions if isinstance(request, Under) else (), []).append(
            i
        )
    for interventions, places in changes.items():
        questions = [question_of(requests[i]) for i in places]
        with backend.under(interventions) if interventions else nullcontext():
            answers.update(zip(places, _answer(backend, questions), strict=True))
    return [answers[i] for i in range(len(requests))]


def _answer(backend: Backend, questions: Sequence[Question]) -> list[Answer]:
    """Answer questions without interventions, each kind as one batch."""
    answers: dict[int, Answer] = {}
    engines: dict[type[Question], Callable[..., Sequence[Answer]]] = {
        GenerationRequest: backend.generate,
        NextTokenRequest: backend.next_token_logprobs,
        TopTokensRequest: backend.top_tokens,
        ContinuationRequest: backend.score_continuations,
        ChoicesRequest: lambda asked: score_choices(backend, asked),
        NumberRequest: lambda numbers: read_numbers(backend, numbers),
        ActivationsRequest: backend.activations,
        DivergenceRequest: backend.divergences,
    }
    for kind, engine in engines.items():
        asked = [(i, question) for i, question in enumerate(questions) if type(question) is kind]
        if asked:
            found = engine([question for _, question in asked])
            answers.update(zip((i for i, _ in asked), found, strict=True))
    return [answers[i] for i in range(len(questions))]


def score_choices(backend: Backend, requests: Sequence[ChoicesRequest]) -> list[Choices]:
    """Score the choices of every request, each as a continuation of its prompt."""
    found = iter(
        backend.score_continuations(
            [ContinuationRequest(asked.prompt, one) for asked in requests for one in asked.choices]
        )
    )
    return [Choices(tuple(next(found) for _ in asked.choices)) for asked in requests]


def read_numbers(backend: Backend, requests: Sequence[NumberRequest]) -> list[Numbers]:
    """Read numbers off the likeliest tokens, or off a greedy reply where there are too few."""
    found: dict[int, Numbers] = {}
    if "top_tokens" in backend.capabilities:
        whole = "prefill" in backend.capabilities
        for n, tops in enumerate(_likeliest(backend, requests, whole=whole)):
            enough = whole or expected_score.first_token_suffices(requests[n], tops[""])
            if tops[""] and enough:
                found[n] = expected_score.from_top_tokens(requests[n], tops)
    left = [n for n in range(len(requests)) if n not in found]
    replies = backend.generate([expected_score.as_text(requests[n]) for n in left]) if left else []
    for n, reply in zip(left, replies, strict=True):
        (said,) = reply.completions
        found[n] = expected_score.from_text(requests[n], said.text, cut=said.stop == "length")
    return [found[n] for n in range(len(requests))]


def _likeliest(
    backend: Backend, requests: Sequence[NumberRequest], *, whole: bool
) -> list[dict[str, TopTokens]]:
    """Return, per request, the likeliest tokens after each beginning of a number.

    Args:
        backend: the engine.
        requests: for numbers.
        whole: whether to ask for what follows the first token, too: digit by digit, as most
            beginnings have no probability.
    """
    tops: list[dict[str, TopTokens]] = [{} for _ in requests]
    due = [(n, "") for n in range(len(requests))]
    while due:
        asked = [expected_score.after(requests[n], start) for n, start in due]
        answered = list(zip(due, backend.top_tokens(asked), strict=True))
        for (n, start), top in answered:
            tops[n][start] = top
        due = [
            (n, longer)
            for (n, start), top in answered
            for longer in expected_score.longer_beginnings(requests[n], start, top)
            if whole
        ]
    return tops
