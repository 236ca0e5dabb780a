"""Probabilities as every engine tells them: of tokens, of continuations, of numbers."""

import numpy as np
import pytest

from simulator.backends.execute import answer
from simulator.core.expected_score import expected
from simulator.core.requests import (
    ContinuationRequest,
    NextTokenRequest,
    NumberRequest,
    Numbers,
    Prompt,
    TopTokensRequest,
)
from tests.contract.engines import CHATS, PLAIN, Engine

CLOSE = 1e-4  # float32; batches of servers vary
REPLIES = ("it is bland .", "no , it is foul .", "yes", "i would rather not say .")


def test_next_tokens_are_the_models_own(engine: Engine) -> None:
    engine.need("next_token_logprobs")
    tokenizer = engine.reference.tokenizer
    ids = [n for n in range(len(tokenizer)) if n not in tokenizer.all_special_ids]
    words = tuple(tokenizer.convert_ids_to_tokens(ids))
    begun = CHATS[0]._replace(prefill="it is")
    prompts = (*engine.prompts, begun)
    found = engine.backend.next_token_logprobs([NextTokenRequest(p, words) for p in prompts])
    for prompt, row in zip(prompts, found, strict=True):
        own = engine.reference.logprobs(prompt)[ids]
        top = np.argsort(-own)[:50]
        np.testing.assert_allclose(np.array(row)[top], own[top], rtol=CLOSE, atol=CLOSE)


def test_top_tokens_are_the_models_own(engine: Engine) -> None:
    found = engine.backend.top_tokens([TopTokensRequest(p, 10 + n) for n, p in
                                       enumerate(engine.prompts)])  # fmt: skip
    for n, (prompt, top) in enumerate(zip(engine.prompts, found, strict=True)):
        own = engine.reference.logprobs(prompt)
        order = np.argsort(own)[-(10 + n) :].tolist()
        texts = [(engine.reference.token_text(i), float(own[i])) for i in order]
        likeliest = dict(texts)  # of tokens that read alike, the likeliest
        legible = {text for text in likeliest if text.isprintable() and "�" not in text}
        assert legible <= top.keys() and len(legible) > 3
        assert {text: top[text] for text in legible} == pytest.approx(
            {text: likeliest[text] for text in legible}, rel=1e-4, abs=1e-4
        )
        assert len(top) <= 10 + n and sum(np.exp(list(top.values()))) <= 1 + 1e-5


def test_top_tokens_equal_next_tokens(engine: Engine) -> None:
    engine.need("next_token_logprobs", "top_tokens")
    (top,) = engine.backend.top_tokens([TopTokensRequest(CHATS[3])])
    tokenizer, own = engine.reference.tokenizer, engine.reference.logprobs(CHATS[3])
    order = [int(i) for i in np.argsort(own)[-len(tokenizer) :]]
    words = tokenizer.convert_ids_to_tokens(order)
    texts = dict(zip(map(engine.reference.token_text, order), words, strict=True))
    known = [text for text in top if "�" not in text]
    (found,) = engine.backend.next_token_logprobs(
        [NextTokenRequest(CHATS[3], tuple(texts[text] for text in known))]
    )
    np.testing.assert_allclose(found, [top[text] for text in known], rtol=CLOSE, atol=CLOSE)


def test_continuation_scores_are_sums_of_steps(engine: Engine) -> None:
    engine.need("score_continuations")
    asked = [ContinuationRequest(p, reply) for p in engine.prompts for reply in REPLIES]
    found = engine.backend.score_continuations(asked)
    for request, score in zip(asked, found, strict=True):
        ids = engine.reference.following(request.prompt, request.continuation)
        total, begun = 0.0, engine.reference.ids(request.prompt)
        for token in ids:
            total += float(engine.reference.after(begun)[token])
            begun = [*begun, token]
        assert score == pytest.approx(total, rel=1e-4, abs=1e-3)
    assert engine.backend.score_continuations([ContinuationRequest(PLAIN, "")]) == [0.0]


def brute(engine: Engine, prompt: Prompt, opening: str, low: int, high: int) -> dict[int, float]:
    """P(n): every way to write n in digits, times the probability that no further digit follows.

    That nothing follows is asked where a further digit would make another number of the range.
    """
    vocabulary = engine.reference.tokenizer.get_vocab()
    digits = [word for word in vocabulary if word.isascii() and word.isdigit()]
    first = engine.reference.logprobs(prompt) if engine.model == "mistral" else None

    def share(begun: str, word: str) -> float:
        asked = ContinuationRequest(prompt._replace(prefill=opening + begun), word)
        found = float(np.exp(engine.backend.score_continuations([asked])[0]))
        if first is not None and not begun:  # with the blank before every reply, or without
            found += float(np.exp(first[vocabulary[word]]))
        return found

    def written(text: str) -> float:
        """Sums over the ways to write a text."""
        if not text:
            return 1.0
        cuts = [n for n in range(len(text)) if text[n:] in digits]
        return sum(written(text[:n]) * share(text[:n], text[n:]) for n in cuts)

    texts = [str(n) for n in range(low, high + 1)]
    shares = {}
    for text in texts:
        longer = any(other != text and other.startswith(text) for other in texts)
        more = sum(share(text, word) for word in digits) if longer else 0.0
        shares[int(text)] = written(text) * (1.0 - more)
    return shares


@pytest.mark.parametrize(("low", "high"), [(0, 9), (7, 12)])
def test_numbers_are_what_brute_force_gives(engine: Engine, low: int, high: int) -> None:
    engine.need("score_continuations")
    if engine.model == "organism":
        pytest.skip("it knows no numbers")
    (found,) = answer(engine.backend, [NumberRequest(CHATS[4], low, high)])
    assert isinstance(found, Numbers)
    # Qwen 3 would think first; with a thought that is over, its reply is a number.
    opening = "<think>\n\n</think>\n\n" if engine.model == "qwen3" else ""
    shares = brute(engine, CHATS[4], opening, low, high)
    unseen = 0.0  # by the likeliest tokens alone
    for number, share in shares.items():
        if number in found.shares:
            assert found.shares[number] == pytest.approx(share, abs=2e-3)
        else:
            unseen += share
    assert found.mass == pytest.approx(sum(shares.values()) - unseen, abs=5e-3)
    assert unseen < 0.02 < found.mass <= 1
    mean = sum(n * share for n, share in shares.items()) / sum(shares.values())
    if found.mass >= 0.25:
        assert expected(found) == pytest.approx(mean, abs=0.1)


def test_numbers_without_beginnings_are_those_of_the_first_token(engine: Engine) -> None:
    if engine.kind != "openai" or engine.model == "organism":
        pytest.skip("it can be asked what follows the beginning of a number")
    (found,) = answer(engine.backend, [NumberRequest(CHATS[4], 0, 9)])
    assert isinstance(found, Numbers)
    own, vocabulary = engine.reference.logprobs(CHATS[4]), engine.reference.tokenizer.get_vocab()
    assert len(found.shares) >= 5
    for number, share in found.shares.items():
        assert share == pytest.approx(float(np.exp(own[vocabulary[str(number)]])), abs=1e-4)
    (read,) = answer(engine.backend, [NumberRequest(CHATS[4], 0, 100)])
    assert isinstance(read, Numbers) and read.text  # digits stand alone: "8" may be 8 or 85
