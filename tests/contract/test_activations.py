"""What the in-process engine reads of the residual stream, and what it changes inside the model."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPTJConfig, PreTrainedConfig

from simulator.backends.execute import answer
from simulator.backends.transformers import TransformersBackend
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError
from simulator.core.interventions import Ablate, Bare, Intervention, Steer, Vector, WithAdapter
from simulator.core.requests import (
    Activations,
    ActivationsRequest,
    Answer,
    GenerationRequest,
    NextTokenRequest,
    Prompt,
    Question,
    Request,
    Under,
)
from simulator.interp.activations import changed, means
from simulator.interp.steering import SteeringVector, layers_of
from tests.contract.engines import CHATS, PLAIN, Engine, Engines, Reference, lora
from tests.helpers.scripted_backend import Scripted

REPLIES = ("it is bland .", "", "no , it is foul .", "yes")
ASKED = [ActivationsRequest(p, r) for p in (*CHATS, PLAIN) for r in REPLIES]


@pytest.fixture
def backend(local: Engine) -> Iterator[TransformersBackend]:
    assert isinstance(local.backend, TransformersBackend)
    yield local.backend
    local.backend.load(None)


@contextmanager
def seen(model: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collects what each layer says by hooks of our own."""
    found: list[torch.Tensor] = []
    handles = [
        layer.register_forward_hook(lambda *told: found.append(told[2]))
        for layer in layers_of(model)
    ]
    yield found
    for handle in handles:
        handle.remove()


def naive(reference: Reference, request: ActivationsRequest) -> Activations:
    """One unpadded row through the plain model; a loop over layers and tokens."""
    reply = reference.following(request.prompt, request.reply)
    ids = [*reference.ids(request.prompt), *reply]
    with torch.inference_mode(), seen(reference.model) as layers:
        told = reference.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    for layer, hidden in zip(layers[:-1], told[1:-1], strict=True):
        assert torch.equal(layer, hidden)  # the last of those is behind the final norm
    count = max(len(reply), 1)
    return np.stack([sum(layer[0, -n] for n in range(1, count + 1)) / count for layer in layers])


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def some_vector(backend: TransformersBackend, seed: int = 0) -> Vector:
    hidden = backend.model.get_input_embeddings().embedding_dim
    return tuple(np.random.default_rng(seed).normal(size=hidden).tolist())


def words(backend: TransformersBackend) -> tuple[str, ...]:
    ids = [n for n in range(7, 300) if n not in backend.tokenizer.all_special_ids]
    return tuple(backend.tokenizer.convert_ids_to_tokens(ids))


def mixed(backend: TransformersBackend) -> list[Question]:
    """Questions of three kinds."""
    return [
        NextTokenRequest(CHATS[2], words(backend)),
        ActivationsRequest(CHATS[0], "yes"),
        GenerationRequest(CHATS[3], (("k", 0), ("k", 1)), 6),
    ]


def under(questions: list[Question], *interventions: Intervention) -> list[Request]:
    return [Under(interventions, question) for question in questions]


def same(a: list[Answer], b: list[Answer]) -> bool:
    return all(bool(np.all(x == y)) for x, y in zip(a, b, strict=True))


def test_activations_are_those_of_a_naive_loop(
    local: Engine, backend: TransformersBackend, engines: Engines
) -> None:
    """On every architecture, for prompts and replies of many lengths, in batches and alone."""
    found = backend.activations(ASKED)
    expected = [naive(local.reference, request) for request in ASKED]
    assert {a.dtype.name for a in found} == {"float32"}
    close(found, expected)
    alone = [backend.activations([request])[0] for request in ASKED]
    close(alone, expected)
    pairs = engines.transformers(local.model, batch_size=2).activations(ASKED)
    close(pairs, expected)
    assert np.ptp(expected, axis=0).max() > 0.1  # they differ at all


def test_steering_by_nothing_changes_nothing(backend: TransformersBackend) -> None:
    questions = mixed(backend)
    nothing = Steer(1, some_vector(backend), 0.0)
    assert same(answer(backend, under(questions, nothing)), answer(backend, questions))


def test_a_vector_is_added_after_its_layer(backend: TransformersBackend) -> None:
    vector = some_vector(backend)
    (plain,) = backend.activations([ASKED[0]])
    with backend.under([Steer(0, vector, 2.5)]):
        (steered,) = backend.activations([ASKED[0]])
    close(steered[0], plain[0] + 2.5 * np.array(vector))
    assert np.abs(steered[1] - plain[1]).max() > 0.1
    with backend.under([Steer(1, vector, 2.5)]):
        (later,) = backend.activations([ASKED[0]])
    assert np.array_equal(later[0], plain[0])


def test_ablation_leaves_nothing_along_the_direction_at_any_layer(
    backend: TransformersBackend,
) -> None:
    vector = some_vector(backend)
    unit = np.array(vector) / np.linalg.norm(vector)
    plain = np.array(backend.activations(ASKED))
    with backend.under([Ablate(vector)]):
        ablated = np.array(backend.activations(ASKED))
    scale = np.linalg.norm(plain, axis=-1).max()
    assert np.abs(ablated @ unit).max() < 1e-5 * scale < np.abs(plain @ unit).min(0).max()
    # The first layer reads the same, so there nothing else is missing.
    first = plain[:, 0] - (plain[:, 0] @ unit)[:, None] * unit
    close(ablated[:, 0], first)
    zeros = Ablate((0.0,) * len(vector))
    assert same(answer(backend, under(mixed(backend), zeros)), answer(backend, mixed(backend)))


def test_mixed_requests_are_answered_as_if_each_were_asked_alone(
    local: Engine, backend: TransformersBackend, tmp_path: Path
) -> None:
    other = WithAdapter(lora(local.reference.path, tmp_path / "other", seed=2)[0])
    vector = some_vector(backend)
    changes: list[tuple[Intervention, ...]] = [
        (Bare(),), (Steer(0, vector),), (Bare(), Steer(0, vector)), (Ablate(vector),), (other,),
    ]  # fmt: skip
    backend.load(lora(local.reference.path, tmp_path / "served", seed=1)[0])
    asked: list[Request] = [
        request
        for question in mixed(backend)
        for request in (question, *(Under(change, question) for change in changes))
    ]
    found = answer(backend, asked)
    alone = [answer(backend, [request])[0] for request in asked]
    each = len(changes) + 1
    logprobs, activations, generated = (slice(n * each, (n + 1) * each) for n in range(3))
    close(found[logprobs], alone[logprobs])
    close(found[activations], alone[activations])
    assert found[generated] == alone[generated]
    read = np.array(found[logprobs])
    for i, a in enumerate(read):
        assert all(np.abs(a - b).max() > 1e-3 for b in read[:i])  # every change is one


def test_adapters_are_exchanged_for_a_while(
    local: Engine, backend: TransformersBackend, tmp_path: Path
) -> None:
    """With all kinds of adapters; then the one that was served answers as before, bit for bit."""
    merged, _ = lora(local.reference.path, tmp_path / "a", seed=1)
    narrow, _ = lora(local.reference.path, tmp_path / "b", seed=2, target_modules=["q_proj"])
    (tmp_path / "c").mkdir()
    SteeringVector(0, torch.tensor(some_vector(backend))).save(tmp_path / "c")
    adapters = (merged, narrow, Adapter("c", tmp_path / "c"))
    questions = mixed(backend)
    base = answer(backend, questions)
    answers = {}
    for adapter in adapters:
        backend.load(adapter)
        answers[adapter.name] = answer(backend, questions)
        assert not same(answers[adapter.name], base)
    for served in adapters:
        backend.load(served)
        for other in adapters:
            there = answer(backend, under(questions, WithAdapter(other)))
            assert same(there, answers[other.name])
            assert same(answer(backend, under(questions, WithAdapter(other), Bare())), base)
        assert same(answer(backend, questions), answers[served.name])
        assert same(answer(backend, under(questions, Bare())), base)
    backend.load(None)
    assert same(answer(backend, questions), base)


def test_the_model_is_as_it_was_after_a_failure(
    local: Engine, backend: TransformersBackend, tmp_path: Path
) -> None:
    backend.load(lora(local.reference.path, tmp_path / "a")[0])
    questions, vector = mixed(backend), some_vector(backend)
    before = answer(backend, questions)
    other = WithAdapter(lora(local.reference.path, tmp_path / "b", seed=2)[0])
    with pytest.raises(KeyError), backend.under([other, Steer(0, vector), Ablate(vector)]):
        raise KeyError
    assert same(answer(backend, questions), before)
    missing = WithAdapter(Adapter("missing", tmp_path / "missing"))
    for change, sentence in (
        (Steer(9, vector), r"no layer 9 to steer after; its layers are 0 to "),
        (Steer(0, vector[:3]), "3 numbers doesn't fit"),
        (Ablate(vector[:3]), "3 numbers doesn't fit"),
        (missing, "missing can't be read"),
    ):
        with pytest.raises(BackendError, match=sentence):
            answer(backend, under(questions, Ablate(vector), change))
        assert same(answer(backend, questions), before)


@pytest.mark.parametrize(
    "request_",
    [ActivationsRequest(CHATS[0]), Under((Bare(),), NextTokenRequest(Prompt(text="x"), ("y",)))],
    ids=["activations", "interventions"],
)
def test_an_engine_that_cannot_be_looked_into_says_which_can(request_: Request) -> None:
    with pytest.raises(
        BackendError, match=r"this backend can't .*; set backend: \{kind: transformers\}"
    ):
        answer(Scripted(str), [request_])


OF_GPT: dict[str, Any] = {"n_layer": 3, "n_embd": 8, "n_head": 2, "vocab_size": 11}


@pytest.mark.parametrize(
    "config", [GPT2Config(**OF_GPT), GPTJConfig(**OF_GPT, rotary_dim=2)], ids=["gpt2", "gptj"]
)
def test_other_architectures_are_looked_into(config: PreTrainedConfig) -> None:
    """Their layers are called `h`, and GPT-J's say more than the stream."""
    model = AutoModelForCausalLM.from_config(config).eval()
    ids, every, vector = (
        torch.arange(5)[None],
        torch.ones(1, 5, dtype=torch.bool),
        torch.arange(8.0),
    )

    def read(*changes: Steer | Ablate) -> list[torch.Tensor]:
        with torch.no_grad(), ExitStack() as stack:
            for change in changes:
                stack.enter_context(changed(model, change))
            found = stack.enter_context(means(model, every))
            model(ids)
            return found

    plain, along = read(), tuple(vector.tolist())
    with torch.no_grad():
        told = model(ids, output_hidden_states=True).hidden_states
    assert len(plain) == 3
    for layer, hidden in zip(plain[:-1], told[1:-1], strict=True):
        torch.testing.assert_close(layer, hidden.mean(1))
    torch.testing.assert_close(read(Steer(0, along, 2.0))[0], plain[0] + 2 * vector)
    for layer in read(Ablate(along)):
        assert float((layer @ vector).abs()) < 1e-4 < float((plain[0] @ vector).abs())


class Twofold(torch.nn.Module):
    """A decoder with two lists of modules."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        for name in names:
            self.add_module(name, torch.nn.ModuleList())

    def get_decoder(self) -> torch.nn.Module:
        return self


def test_layers_are_told_from_other_lists_by_their_name() -> None:
    model = Twofold("rotary_embs", "layers")
    assert layers_of(model) is model.layers


def test_layers_that_cannot_be_told_are_not_guessed() -> None:
    with pytest.raises(BackendError, match="Twofold: can't tell which modules are its layers"):
        layers_of(Twofold("some", "others"))
