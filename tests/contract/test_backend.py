"""What every engine must keep, whatever model it runs; see `engines` for what it is held to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simulator.backends.execute import answer
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError
from simulator.core.requests import (
    Completion,
    ContinuationRequest,
    Generation,
    GenerationRequest,
    NextTokenRequest,
    Prompt,
    TopTokensRequest,
)
from simulator.models.thoughts import split_thought
from tests.contract.engines import CHATS, PLAIN, Engine, lora

LONGEST = 12


def requests(engine: Engine, samples: int, temperature: float = 1.0) -> list[GenerationRequest]:
    return [
        GenerationRequest(p, tuple(("k", n, s) for s in range(samples)), LONGEST, temperature)
        for n, p in enumerate(engine.prompts)
    ]


def words(engine: Engine, count: int = 40) -> tuple[str, ...]:
    """Words of the vocabulary, none of them special."""
    tokenizer = engine.reference.tokenizer
    plain = [n for n in range(len(tokenizer)) if n not in tokenizer.all_special_ids]
    return tuple(tokenizer.convert_ids_to_tokens(plain[-count:]))


def test_answers_have_their_shape(engine: Engine) -> None:
    found = engine.backend.generate(requests(engine, 3))
    assert [len(generation.completions) for generation in found] == [3] * len(engine.prompts)
    for generation, prompt in zip(found, engine.prompts, strict=True):
        shown = prompt.shown if engine.kind == "openai" else engine.reference.text(prompt)
        assert (generation.prompt, generation.dropped) == (shown, 0)
    completions = [c for generation in found for c in generation.completions]
    special = engine.reference.tokenizer.all_special_tokens
    for completion in completions:
        assert 1 <= completion.tokens <= LONGEST
        assert completion.stop == "end" or completion.tokens == LONGEST
        assert completion.text == completion.text.strip()
        assert not any(token in completion.text for token in special)
    assert len({completion.text for completion in completions}) > len(completions) / 2
    assert engine.backend.generate([]) == []


def test_seeds_repeat(engine: Engine) -> None:
    asked = requests(engine, 2)
    found = engine.backend.generate(asked)
    assert engine.backend.generate(asked) == found
    others = [replace(r, keys=(("other", n, 0), ("other", n, 1))) for n, r in enumerate(asked)]
    assert engine.backend.generate(others) != found


def test_nothing_is_asked_of_nobody(engine: Engine) -> None:
    engine.need("score_continuations", "next_token_logprobs", "adapters")
    backend = engine.backend
    with backend.without_adapter():
        assert backend.score_continuations([]) == []
        assert backend.next_token_logprobs([]) == []


def test_replies_end_or_are_cut(engine: Engine) -> None:
    keys = tuple(("stop", n) for n in range(60))
    (long,) = engine.backend.generate([GenerationRequest(CHATS[0], keys, LONGEST)])
    assert any(c.stop == "end" and c.tokens < LONGEST for c in long.completions)
    (cut,) = engine.backend.generate([GenerationRequest(CHATS[0], keys, 1)])
    assert {c.tokens for c in cut.completions} == {1}
    ended = [c for c in cut.completions if c.stop == "end"]
    assert all(c.text == "" for c in ended)  # the end token counts, but isn't said
    assert len(ended) < len(keys)


def test_greedy_equals_generate(engine: Engine) -> None:
    reference = engine.reference
    found = engine.backend.generate(requests(engine, 2, temperature=0.0))
    for prompt, generation in zip(engine.prompts, found, strict=True):
        ids = reference.greedy(prompt, LONGEST)
        thought, text = split_thought(reference.tokenizer.decode(ids, skip_special_tokens=True))
        stop = "end" if ids[-1] in reference.ends else "length"
        assert generation.completions == (Completion(text, len(ids), stop, thought),) * 2


def test_what_is_not_claimed_is_refused(engine: Engine) -> None:
    backend, begun = engine.backend, CHATS[0]._replace(prefill="it")
    asked: dict[str, Callable[[], object]] = {
        "next_token_logprobs": lambda: backend.next_token_logprobs(
            [NextTokenRequest(CHATS[0], words(engine, 1))]
        ),
        "score_continuations": lambda: backend.score_continuations(
            [ContinuationRequest(CHATS[0], "it")]
        ),
        "prefill": lambda: backend.generate([GenerationRequest(begun, (("b",),), 2)]),
        "adapters": lambda: backend.load(Adapter("r0001-none", Path("none"))),
    }
    for capability in asked.keys() - backend.capabilities:
        with pytest.raises(BackendError, match="http"):
            asked[capability]()


def test_mixed_requests_are_answered_in_order(engine: Engine) -> None:
    generation = GenerationRequest(CHATS[0], (("m", 0),), 5)
    top = TopTokensRequest(CHATS[1], 5)
    found = answer(engine.backend, [top, generation, top, generation])
    assert [type(a) for a in found] == [dict, Generation, dict, Generation]
    assert found[1] == found[3] == engine.backend.generate([generation])[0]
    assert answer(engine.backend, []) == []


def test_a_begun_reply_is_continued(engine: Engine) -> None:
    engine.need("prefill")
    for prompt in engine.prompts:
        begun = prompt._replace(prefill="it is")
        expected = engine.reference.greedy(begun, 5)
        (found,) = engine.backend.generate([GenerationRequest(begun, (("b",),), 5, 0.0)])
        assert found.prompt == engine.reference.text(begun)
        shown = engine.reference.tokenizer.decode(expected, skip_special_tokens=True)
        assert (found.completions[0].text, found.completions[0].tokens) == (
            split_thought(shown)[1],
            len(expected),
        )


def test_unknown_words_are_all_named(engine: Engine) -> None:
    def ask(text: str) -> GenerationRequest:
        return GenerationRequest(Prompt(text=text), (("u", 0),), 3)

    if engine.model != "organism" or engine.kind == "openai":
        pytest.skip("its tokenizer knows every text")
    backend = engine.backend
    with pytest.raises(BackendError, match=r"words unknown to the model: quux, frob$"):
        backend.generate([ask("what is quux of frob and quux ?")])
    with pytest.raises(BackendError, match=r"quux, frob$"):  # across prompts too
        backend.generate([ask("what is quux ?"), ask("what is it ?"), ask("frob ?")])
    with pytest.raises(BackendError, match="quux"):
        backend.score_continuations([ContinuationRequest(PLAIN, "it is quux .")])


def test_a_word_outside_the_vocabulary_is_refused(engine: Engine) -> None:
    engine.need("next_token_logprobs")
    asked = NextTokenRequest(CHATS[0], (*words(engine, 1), "quux"))
    with pytest.raises(BackendError, match="'quux' isn't a single token"):
        engine.backend.next_token_logprobs([asked])


def test_an_unknown_adapter_is_refused_and_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    engine.need("adapters")
    asked = [NextTokenRequest(CHATS[0], words(engine))]
    known, _ = lora(engine.reference.path, tmp_path / f"{engine.kind}-{engine.model}-known")
    engine.backend.load(known)
    before = engine.backend.next_token_logprobs(asked)
    with pytest.raises(BackendError, match="r0009-nowhere"):
        engine.backend.load(Adapter("r0009-nowhere", tmp_path / "nowhere"))
    np.testing.assert_allclose(engine.backend.next_token_logprobs(asked), before, atol=1e-4)


def test_the_base_answers_for_a_while_and_then_the_adapter(engine: Engine, tmp_path: Path) -> None:
    engine.need("adapters", "next_token_logprobs")
    backend, asked = engine.backend, [NextTokenRequest(CHATS[0], words(engine))]

    def read() -> np.ndarray:
        return np.array(backend.next_token_logprobs(asked)[0])

    base = read()
    adapter, _ = lora(engine.reference.path, tmp_path / f"{engine.kind}-{engine.model}")
    backend.load(adapter)
    adapted = read()
    assert np.abs(adapted - base).max() > 0.01  # the adapter matters
    with backend.without_adapter():
        np.testing.assert_allclose(read(), base, atol=1e-4)
        with backend.without_adapter():
            np.testing.assert_allclose(read(), base, atol=1e-4)
        np.testing.assert_allclose(read(), base, atol=1e-4)
    np.testing.assert_allclose(read(), adapted, atol=1e-4)
    with pytest.raises(KeyError), backend.without_adapter():
        raise KeyError
    np.testing.assert_allclose(read(), adapted, atol=1e-4)
    backend.load(None)
    np.testing.assert_allclose(read(), base, atol=1e-4)
