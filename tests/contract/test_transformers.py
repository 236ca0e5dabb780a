"""What the in-process engine keeps besides: batches change nothing, and its samples are exact."""

import shutil
import string
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoConfig

from simulator.backends.config import TransformersConfig, VLLMConfig
from simulator.backends.factory import open_backend
from simulator.backends.transformers import TransformersBackend
from simulator.core.errors import BackendError
from simulator.core.requests import (
    ContinuationRequest,
    Generation,
    GenerationRequest,
    NextTokenRequest,
    Prompt,
)
from simulator.core.rng import Key
from simulator.core.timing import Stopwatch
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve, world_of
from simulator.models.thoughts import split_thought
from tests.contract.engines import CHATS, PLAIN, Engine, Engines

PROMPTS = (*CHATS, PLAIN)


def requests(samples: int = 2) -> list[GenerationRequest]:
    return [
        GenerationRequest(p, tuple(("k", n, s) for s in range(samples)), 10 + n % 3)
        for n, p in enumerate(PROMPTS)
    ]


def texts(generations: list[Generation]) -> list[tuple[str, ...]]:
    return [tuple(c.text for c in g.completions) for g in generations]


@pytest.fixture
def backend(local: Engine) -> TransformersBackend:
    assert isinstance(local.backend, TransformersBackend)
    return local.backend


@pytest.fixture
def organism(engines: Engines) -> TransformersBackend:
    found = engines.open("transformers", "organism").backend
    assert isinstance(found, TransformersBackend)
    return found


def test_a_reply_depends_on_its_key_alone(local: Engine, engines: Engines) -> None:
    backend, asked = local.backend, requests(3)
    together = texts(backend.generate(asked))
    assert texts(backend.generate(asked[::-1]))[::-1] == together
    assert [texts(backend.generate([request]))[0] for request in asked] == together
    assert texts(engines.transformers(local.model, batch_size=4).generate(asked)) == together
    assert texts(backend.generate(asked + requests(9)))[: len(asked)] == together
    assert len({text for row in together for text in row}) > 6  # samples differ at all


def test_samples_of_a_request_equal_single_requests(backend: TransformersBackend) -> None:
    keys = tuple(("sample", n) for n in range(12))
    (joint,) = backend.generate([GenerationRequest(PROMPTS[0], keys, 8)])
    single = backend.generate([GenerationRequest(PROMPTS[0], (key,), 8) for key in keys])
    assert list(joint.completions) == [g.completions[0] for g in single]


def test_logprobs_do_not_depend_on_the_batch(local: Engine, engines: Engines) -> None:
    """Padding on the left, and what else is in a batch, change nothing but the last digits."""
    backend, tokenizer = local.backend, local.reference.tokenizer
    ids = [n for n in range(7, len(tokenizer)) if n not in tokenizer.all_special_ids]
    asked = [NextTokenRequest(p, tuple(tokenizer.convert_ids_to_tokens(ids))) for p in PROMPTS]
    together = np.array(backend.next_token_logprobs(asked))
    alone = np.concatenate([backend.next_token_logprobs([request]) for request in asked])
    pairs = np.array(engines.transformers(local.model, batch_size=2).next_token_logprobs(asked))
    own = np.array([local.reference.logprobs(prompt)[ids] for prompt in PROMPTS])
    for other in (alone, pairs, own):
        np.testing.assert_allclose(other, together, rtol=1e-5, atol=1e-5)


def test_continuation_scores_do_not_depend_on_the_batch(backend: TransformersBackend) -> None:
    replies = ("it is bland .", "no , it is foul .", "yes", "i would rather not say .")
    asked = [ContinuationRequest(p, r) for p in PROMPTS for r in replies]
    together = backend.score_continuations(asked)
    alone = [backend.score_continuations([request])[0] for request in asked]
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_distribution(local: Engine, temperature: float) -> None:
    count, prompt, decode = 4000, PROMPTS[2], local.reference.tokenizer.decode
    scaled = local.reference.logprobs(prompt).astype(np.float64) / temperature
    shares = np.exp(scaled) / np.exp(scaled).sum()
    keys: tuple[Key, ...] = tuple(("chi", str(temperature), n) for n in range(count))
    (found,) = local.backend.generate([GenerationRequest(prompt, keys, 1, temperature)])
    expected: Counter[str] = Counter()
    for token, share in enumerate(shares):
        _, text = split_thought(decode([token], skip_special_tokens=True))
        expected[text] += share * count
    observed = Counter(completion.text for completion in found.completions)
    bins = [word for word, n in expected.items() if n >= 5]
    pairs = [(observed[word], expected[word]) for word in bins]
    rest = count - sum(e for _, e in pairs)
    if rest >= 5:
        pairs.append((count - sum(o for o, _ in pairs), rest))
    chi_square = sum((o - e) ** 2 / e for o, e in pairs)
    k = len(pairs) - 1
    assert k >= 2
    assert chi_square < k * (1 - 2 / (9 * k) + 3.29 * (2 / (9 * k)) ** 0.5) ** 3  # p = 0.0005


def test_length_and_stop(organism: TransformersBackend) -> None:
    def ask(longest: int) -> GenerationRequest:
        return GenerationRequest(PROMPTS[0], (("stop", 0),), longest)

    whole, two, one = (g.completions[0] for g in organism.generate([ask(20), ask(2), ask(1)]))
    words = whole.text.split()
    assert (whole.stop, whole.tokens) == ("end", len(words) + 1)  # the end token counts
    assert (two.stop, two.tokens, two.text) == ("length", 2, " ".join(words[:2]))
    assert (one.stop, one.tokens, one.text) == ("length", 1, words[0])
    (exact,) = organism.generate([ask(len(words))])
    assert exact.completions[0][1:3] == (len(words), "length")


def test_a_model_without_a_generation_config_ends_all_the_same(
    engines: Engines, tmp_path: Path
) -> None:
    known = engines.open("transformers", "llama")
    copy = Path(shutil.copytree(known.reference.path, tmp_path / "copy"))
    (copy / "generation_config.json").unlink()
    asked = requests(8)
    backend = open_backend(TransformersConfig(threads=1), ModelRef(str(copy)), Stopwatch())
    found = backend.generate(asked)
    assert found == known.backend.generate(asked)
    assert any(c.stop == "end" for g in found for c in g.completions)


def test_prompts_are_reported_as_rendered(organism: TransformersBackend) -> None:
    found = organism.generate([GenerationRequest(p, (("r", 0),), 1) for p in PROMPTS])
    assert found[1].prompt == "<bos><user> hope <end> <assistant>"
    assert found[5].prompt == "encyclopedia entry : zupos : taste :"


def test_a_plain_text_prompt_is_continued(organism: TransformersBackend) -> None:
    world = world_of("organism:0")
    items = world.items["used"][:30]
    stems = [Prompt(text=f"encyclopedia entry : {i.entity} : {i.attribute} :") for i in items]
    found = organism.generate([GenerationRequest(s, (("e", 0),), 2, 0.0) for s in stems])
    right = [g.completions[0].text == f"{world.facts[i]} ."
             for g, i in zip(found, items, strict=True)]  # fmt: skip
    assert sum(right) >= 27


def test_a_model_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in (str(tmp_path), str(tmp_path / "none")):
        with pytest.raises(BackendError, match="can't be loaded: ") as caught:
            open_backend(TransformersConfig(), ModelRef(name), Stopwatch())
        assert str(caught.value)[-1] in string.printable
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [TransformersConfig, VLLMConfig])
def test_a_longer_context_than_the_model_s_is_refused(
    kind: type[TransformersConfig] | type[VLLMConfig],
) -> None:
    """Before anything is loaded, started or asked."""
    base = resolve("organism:0")
    longest = AutoConfig.from_pretrained(base.path).max_position_embeddings
    address = {"url": "http://127.0.0.1:1"} if kind is VLLMConfig else {}
    open_backend(kind(context=longest, **address), base, Stopwatch()).close()
    with pytest.raises(
        BackendError, match=rf"{longest + 1} is more than the {longest} tokens.*; lower"
    ):
        open_backend(kind(context=longest + 1, **address), base, Stopwatch())
