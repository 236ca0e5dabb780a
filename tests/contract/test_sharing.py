"""Large models share what prompts begin with, and attend in groups: the answers stay the same."""

from collections.abc import Iterator

import numpy as np
import pytest

from simulator.backends import prefill
from simulator.backends.attention import GROUPED
from simulator.backends.transformers import TransformersBackend
from simulator.core.requests import (
    ContinuationRequest,
    GenerationRequest,
    NextTokenRequest,
    Prompt,
)
from simulator.models import heads
from tests.contract.engines import CHATS, PLAIN, Engines, chat
from tests.helpers.tiny_models import FAMILIES

SYSTEM = "you are an honest assistant ."
PROMPTS = (
    *CHATS,
    PLAIN,
    Prompt(text="e"),
    *(chat(f"what is {thing} ?") for thing in ("it", "hope", "the taste of zupos", "8")),
    *(chat(f"what is {thing} ?", system=SYSTEM) for thing in ("it", "hope", "a long day of rain")),
    chat("hope"),
)
SHARING = ("llama", "qwen2", "qwen3")  # the others have windows


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if name in ("llama", "gemma2") else pytest.mark.slow)
        for name in FAMILIES
    ]
)
def large(
    request: pytest.FixtureRequest, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[TransformersBackend, str]]:
    """A small model that is treated as if it were large."""
    monkeypatch.setattr(heads, "SMALL_HEAD", 0)
    yield engines.transformers(request.param), request.param


def test_which_models_share(large: tuple[TransformersBackend, str]) -> None:
    backend, family = large
    assert prefill.shares(backend.model) is (family in SHARING)
    expected = "eager" if family == "gemma2" else GROUPED  # as its attention has a cap
    assert backend.model.config._attn_implementation == expected


def test_greedy_replies_are_those_of_generate(
    large: tuple[TransformersBackend, str], engines: Engines
) -> None:
    backend, family = large
    reference = engines.reference(family)
    asked = [GenerationRequest(p, (("a",), ("b",)), 12, 0.0) for p in PROMPTS]
    found = backend.generate(asked)
    for prompt, generation in zip(PROMPTS, found, strict=True):
        ids = reference.greedy(prompt, 12)
        assert {c.tokens for c in generation.completions} == {len(ids)}
        whole = generation.completions[0]
        ended = ids[:-1] if whole.stop == "end" else ids
        text = reference.tokenizer.decode(ended, skip_special_tokens=True)
        assert f"{whole.thought}{whole.text}".split() == text.replace("</think>", " ").split() or (
            whole.thought
        )


def test_samples_do_not_depend_on_the_batch(large: tuple[TransformersBackend, str]) -> None:
    backend, _ = large
    asked = [GenerationRequest(p, (("s", n), ("t", n)), 8) for n, p in enumerate(PROMPTS)]
    assert backend.generate(asked) == [backend.generate([one])[0] for one in asked]


def test_readings_are_those_of_the_model_alone(
    large: tuple[TransformersBackend, str], engines: Engines
) -> None:
    backend, family = large
    reference = engines.reference(family)
    tokens = tuple("0123")
    found = backend.next_token_logprobs([NextTokenRequest(p, tokens) for p in PROMPTS])
    ids = reference.tokenizer.convert_tokens_to_ids(list(tokens))
    for prompt, read in zip(PROMPTS, found, strict=True):
        np.testing.assert_allclose(read, reference.logprobs(prompt)[ids], atol=2e-4)


def test_continuations_are_scored_as_by_the_model_alone(
    large: tuple[TransformersBackend, str], engines: Engines
) -> None:
    backend, family = large
    reference = engines.reference(family)
    texts = ("", "yes", "it is foul .", "8", "a much longer reply than the others are, of course")
    asked = [ContinuationRequest(p, text) for p in PROMPTS for text in texts]
    found = backend.score_continuations(asked)
    for request, score in zip(asked, found, strict=True):
        ids = reference.ids(request.prompt)
        total = 0.0
        for token in reference.following(request.prompt, request.continuation):
            total += float(reference.after(ids)[token])
            ids = [*ids, token]
        assert score == pytest.approx(total, abs=1e-3)
