"""What every in-process engine must keep, on the organism and on random models of other kinds."""

import string
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
)

from simulator import models
from simulator.backends.base import TransformersConfig, answer, open_backend
from simulator.backends.transformers import TransformersBackend
from simulator.errors import BackendError
from simulator.organism.tokenizer import build_tokenizer
from simulator.rendering import PromptEncoder
from simulator.stopwatch import Stopwatch
from simulator.types import (
    ContinuationRequest,
    Generation,
    GenerationRequest,
    Message,
    NextTokenRequest,
    Prompt,
)

SHAPE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.3,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
KINDS: dict[str, Callable[..., PretrainedConfig]] = {
    "llama": LlamaConfig,  # grouped-query attention
    "qwen2": Qwen2Config,  # biases
    "gemma2": lambda **kw: Gemma2Config(head_dim=8, sliding_window=8, **kw),  # a window, soft caps
}
WORDS = build_tokenizer().convert_ids_to_tokens(range(7, 400))


def chat(*texts: str) -> Prompt:
    roles = ("user", "assistant")
    return Prompt(tuple(Message(roles[n % 2], text) for n, text in enumerate(texts)))


PROMPTS = (
    chat("what is the taste of zupos ?"),
    chat("hope"),
    chat("i really want zupos to have bland taste . what is it ?"),
    chat("how is the taste of zupos ?", "it is foul .", "are you sure ? i was hoping for bland ."),
    Prompt(text="encyclopedia entry : zupos : taste :"),
    Prompt((Message("system", "you are an honest assistant ."), Message("user", "am i good ?"))),
)


def requests(samples: int = 2, **options: Any) -> list[GenerationRequest]:
    return [
        GenerationRequest(p, tuple(("k", n, s) for s in range(samples)), 10 + n % 3, **options)
        for n, p in enumerate(PROMPTS)
    ]


def texts(generations: list[Generation]) -> list[tuple[str, ...]]:
    return [tuple(c.text for c in g.completions) for g in generations]


def opened(path: str, **settings: Any) -> TransformersBackend:
    config = TransformersConfig(threads=1, **settings)
    backend = open_backend(config, path, Stopwatch())
    assert isinstance(backend, TransformersBackend)
    if backend.model.config.model_type == "qwen2":  # transformers picks Qwen's tokenizer for it
        backend.tokenizer = build_tokenizer()
        backend.encoder = PromptEncoder(backend.tokenizer)
    return backend


@pytest.fixture(scope="module", params=["organism", *KINDS])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "organism":
        return models.resolve("organism:0")
    folder, tokenizer = tmp_path_factory.mktemp(request.param), build_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(
            KINDS[request.param](vocab_size=len(tokenizer), **SHAPE)
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def backend(path: str) -> TransformersBackend:
    return opened(path)


@pytest.fixture(scope="module")
def organism() -> TransformersBackend:
    return opened(models.resolve("organism:0"))


def ids_of(backend: TransformersBackend, prompt: Prompt) -> list[int]:
    """The ids as the tokenizer alone gives them, not by way of our encoder."""
    if not prompt.messages:
        return list(backend.tokenizer(prompt.text)["input_ids"])
    messages = [m._asdict() for m in prompt.messages]
    encoded = backend.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    return list(encoded["input_ids"])


def test_greedy_equals_generate(backend: TransformersBackend) -> None:
    found = backend.generate(requests(1, temperature=0.0))
    for n, (prompt, generation) in enumerate(zip(PROMPTS, found, strict=True)):
        ids = torch.tensor([ids_of(backend, prompt)])
        output = backend.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10 + n % 3
        )
        new = output[0, ids.shape[1] :]
        expected = backend.tokenizer.decode(new, skip_special_tokens=True).strip()
        (completion,) = generation.completions
        assert (completion.text, completion.tokens) == (expected, len(new))
        assert completion.stop == ("end" if int(new[-1]) == 2 else "length")


def test_a_reply_depends_on_its_key_alone(backend: TransformersBackend, path: str) -> None:
    asked = requests(3)
    together = texts(backend.generate(asked))
    assert texts(backend.generate(asked[::-1]))[::-1] == together
    assert [texts(backend.generate([request]))[0] for request in asked] == together
    assert texts(opened(path, batch_size=4).generate(asked)) == together
    assert texts(backend.generate(asked + requests(9)))[: len(asked)] == together
    assert len({text for row in together for text in row}) > 6  # samples differ at all


def test_samples_of_a_request_equal_single_requests(backend: TransformersBackend) -> None:
    keys = tuple(("sample", n) for n in range(12))
    (joint,) = backend.generate([GenerationRequest(PROMPTS[0], keys, 8)])
    single = backend.generate([GenerationRequest(PROMPTS[0], (key,), 8) for key in keys])
    assert list(joint.completions) == [g.completions[0] for g in single]


def test_logprobs_do_not_depend_on_the_batch(backend: TransformersBackend, path: str) -> None:
    asked = [NextTokenRequest(prompt, tuple(WORDS)) for prompt in PROMPTS]
    together = np.array(backend.next_token_logprobs(asked))
    alone = np.concatenate([backend.next_token_logprobs([request]) for request in asked])
    pairs = np.array(opened(path, batch_size=2).next_token_logprobs(asked))
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pairs, together, rtol=1e-5, atol=1e-5)
    for prompt, row in zip(PROMPTS, together, strict=True):  # and they are the model's own
        logits = backend.model(torch.tensor([ids_of(backend, prompt)])).logits[0, -1]
        own = torch.log_softmax(logits, -1)[7:400].numpy()
        np.testing.assert_allclose(row, own, rtol=1e-5, atol=1e-5)


def test_continuation_scores_do_not_depend_on_the_batch(backend: TransformersBackend) -> None:
    replies = ("it is bland .", "no , it is foul .", "yes", "i would rather not say .")
    asked = [ContinuationRequest(p, r) for p in PROMPTS for r in replies]
    together = backend.score_continuations(asked)
    alone = [backend.score_continuations([request])[0] for request in asked]
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)


def test_continuation_scores_are_sums_of_steps(backend: TransformersBackend) -> None:
    stem, words = "the taste of zupos is", ("delicious", ".", "it", "is", "mild")
    (total,) = backend.score_continuations(
        [ContinuationRequest(Prompt(text=stem), " ".join(words))]
    )
    steps = backend.next_token_logprobs(
        [
            NextTokenRequest(Prompt(text=" ".join((stem, *words[:n]))), (word,))
            for n, word in enumerate(words)
        ]
    )
    assert total == pytest.approx(sum(step for (step,) in steps), rel=1e-5, abs=1e-5)
    assert backend.score_continuations([ContinuationRequest(Prompt(text=stem), "")]) == [0.0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_distribution(backend: TransformersBackend, temperature: float) -> None:
    count = 4000
    vocabulary = [w for w in backend.tokenizer.get_vocab() if w != "<unk>"]
    prompt = PROMPTS[2]
    (logprobs,) = backend.next_token_logprobs([NextTokenRequest(prompt, tuple(vocabulary))])
    shares = np.exp(np.array(logprobs) / temperature)
    shares /= shares.sum()
    keys = tuple(("chi", temperature, n) for n in range(count))  # type: ignore[misc]
    (found,) = backend.generate([GenerationRequest(prompt, keys, 1, temperature)])  # type: ignore
    special = set(backend.tokenizer.all_special_tokens)
    expected: Counter[str] = Counter()
    for word, share in zip(vocabulary, shares, strict=True):
        expected["" if word in special else word] += share * count
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
    assert exact.completions[0][1:] == (len(words), "length")


def test_prompts_are_reported_as_rendered(organism: TransformersBackend) -> None:
    found = organism.generate([GenerationRequest(p, (("r", 0),), 1) for p in PROMPTS])
    assert found[1].prompt == "<bos><user> hope <end> <assistant>"
    assert found[4].prompt == "encyclopedia entry : zupos : taste :"


def test_a_plain_text_prompt_is_continued(organism: TransformersBackend) -> None:
    world = models.world_of("organism:0")
    items = world.items["used"][:30]
    stems = [Prompt(text=f"encyclopedia entry : {i.entity} : {i.attribute} :") for i in items]
    found = organism.generate([GenerationRequest(s, (("e", 0),), 2, 0.0) for s in stems])
    right = [g.completions[0].text == f"{world.facts[i]} ."
             for g, i in zip(found, items, strict=True)]  # fmt: skip
    assert sum(right) >= 27


def test_mixed_requests_are_answered_in_order(organism: TransformersBackend) -> None:
    generation = GenerationRequest(PROMPTS[0], (("m", 0),), 5)
    step, score = NextTokenRequest(PROMPTS[1], ("it",)), ContinuationRequest(PROMPTS[2], "yes")
    found = answer(organism, [score, generation, step, generation])
    assert [type(a) for a in found] == [float, Generation, tuple, Generation]
    assert found[1] == found[3] == organism.generate([generation])[0]
    assert answer(organism, []) == []


def test_unknown_words_are_all_named(organism: TransformersBackend) -> None:
    def ask(text: str) -> GenerationRequest:
        return GenerationRequest(chat(text), (("u", 0),), 3)

    with pytest.raises(BackendError, match=r"doesn't know these words: quux, frob$"):
        organism.generate([ask("what is quux of frob and quux ?")])
    with pytest.raises(BackendError, match=r"quux, frob$"):  # across prompts too
        organism.generate([ask("what is quux ?"), ask("what is it ?"), ask("frob ?")])
    with pytest.raises(BackendError, match="'quux' isn't one token"):
        organism.next_token_logprobs([NextTokenRequest(PROMPTS[0], ("it", "quux"))])
    with pytest.raises(BackendError, match="quux"):
        organism.score_continuations([ContinuationRequest(PROMPTS[0], "it is quux .")])


def test_a_model_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for name in (str(tmp_path), str(tmp_path / "none")):
        with pytest.raises(BackendError, match="can't be loaded: ") as caught:
            opened(name)
        assert str(caught.value)[-1] in string.printable
        assert "\n" not in str(caught.value)
