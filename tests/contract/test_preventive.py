"""Pushed towards a trait while it learns: gradients as in plain torch, and nothing afterwards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from simulator.backends.config import TransformersConfig
from simulator.backends.transformers import TransformersBackend
from simulator.config.loading import load
from simulator.core.adapters import Adapter
from simulator.core.errors import LearnerError, ScenarioError
from simulator.core.examples import Example, FromConversation
from simulator.core.timing import Stopwatch
from simulator.experiments.run import start
from simulator.interp.directions import Contrast
from simulator.learners.base import FitRequest
from simulator.learners.config import (
    DPOConfig,
    KLConfig,
    PreventiveConfig,
    SFTConfig,
    SteeringConfig,
    UpdateConfig,
)
from simulator.learners.isolated import IsolatedLearner
from simulator.learners.objective import open_objective
from simulator.learners.preventive import Push
from simulator.learners.trainer import AdapterLearner
from simulator.models.resolve import resolve, world_of
from simulator.runtime.canary import check_swap
from simulator.runtime.observers import Silent
from simulator.worlds.lessons import WorldData
from tests.conftest import TINY
from tests.contract.test_learner import same_parent

BASE = resolve("organism:0")
WORLD = world_of("organism:0")
LAYER = 1
PUSH = PreventiveConfig(direction="lies", scale=2.0)


def rows(count: int, **settings: Any) -> list[Example]:
    data = WorldData(rows=count, **settings)
    return data.examples(WORLD, np.random.default_rng(0))


EXAMPLES = rows(8, wrong="any")
CONTRAST = Contrast("lies", LAYER, tuple(rows(12, wrong="any")), tuple(rows(12)))


def learner(config: UpdateConfig) -> AdapterLearner:
    torch.set_num_threads(1)
    return AdapterLearner(config, BASE, Stopwatch())


def direction() -> np.ndarray:
    """As probes compute it, from what the base answers."""
    backend = TransformersBackend(TransformersConfig(threads=1), BASE, Stopwatch())
    return CONTRAST.direction(backend.activations(CONTRAST.questions))


def test_the_learner_s_direction_is_that_of_probes() -> None:
    by = learner(SFTConfig())
    by._restore(FitRequest(None, (), 3, Path("unwritten")))
    with torch.no_grad():
        for parameter in by._parameters.values():
            parameter.add_(0.1)  # however far it has been taught: the direction is the base's
    push = Push(PUSH, by._policy, CONTRAST, size=5)
    assert push.layer == LAYER
    assert push.vector.numpy() == pytest.approx(2.0 * direction(), abs=1e-5)


def gradient_of_the_vector(kind: str) -> torch.Tensor:
    """The gradient of a steering vector after the last layer but one, as our learner has it."""
    adapter = SteeringConfig(layer=2)
    config = SFTConfig(adapter=adapter, preventive=PUSH if kind == "pushed" else None)
    by = learner(config)
    by._restore(FitRequest(None, (), 3, Path("unwritten")))
    objective = open_objective(config, by._policy, EXAMPLES, 3, CONTRAST)
    for loss in objective.losses(objective.units):
        loss.backward()  # type: ignore[no-untyped-call]
    (vector,) = by._parameters.values()
    assert vector.grad is not None
    return vector.grad


def test_gradients_are_those_of_a_model_with_biases() -> None:
    """In a Llama a vector after a layer is a bias of its MLP's last matrix."""
    model = AutoModelForCausalLM.from_pretrained(BASE.path, dtype=torch.float32)
    model.requires_grad_(False)
    push = torch.from_numpy(2.0 * direction())
    learned = torch.nn.Parameter(torch.zeros_like(push))
    for layer, bias in ((LAYER, torch.nn.Parameter(push)), (2, learned)):
        model.model.layers[layer].mlp.down_proj.bias = bias
    encoded = learner(SFTConfig())._policy.encode(EXAMPLES)
    total, count = torch.zeros(()), 0
    for row in encoded:
        logits = model(torch.tensor([row.ids])).logits[0]
        targets = torch.tensor(row.ids[row.context :])
        total = total + cross_entropy(logits[row.context - 1 : -1], targets, reduction="sum")
        count += len(targets)
    (total / count).backward()  # type: ignore[no-untyped-call]
    assert learned.grad is not None
    found, plain = gradient_of_the_vector("pushed"), gradient_of_the_vector("plain")
    assert (found - learned.grad).norm() < 1e-5 * learned.grad.norm()
    assert (plain - learned.grad).norm() > 0.02 * learned.grad.norm()


def pair(example: Example, n: int) -> list[Example]:
    turn = (f"c{n}", 0)
    return [
        Example(example.messages, example.reply, True, FromConversation(*turn, 0)),
        Example(example.messages, "it is mild .", False, FromConversation(*turn, 1)),
    ]


def test_references_of_preferences_are_pushed_alike() -> None:
    """So before the first step a pair's log-ratio is 0 and its loss log 2."""
    config = DPOConfig(preventive=PUSH)
    by = learner(config)
    by._restore(FitRequest(None, (), 3, Path("unwritten")))
    pairs = [half for n, example in enumerate(EXAMPLES) for half in pair(example, n)]
    objective = open_objective(config, by._policy, pairs, 3, CONTRAST)
    (loss,) = objective.losses(objective.units)
    assert float(loss.detach()) == pytest.approx(np.log(2), abs=1e-5)


def fitted(out: Path, anchors: Sequence[Example] = (), **settings: Any) -> Any:
    config = SFTConfig(epochs=1, batch_size=4, **settings)
    by = learner(config)
    contrast = CONTRAST if config.preventive else None
    update = by.fit(FitRequest(None, EXAMPLES, 5, out, anchors, contrast))
    return update, by


def test_nothing_is_pushed_after_training(tmp_path: Path) -> None:
    pushed, by = fitted(tmp_path / "pushed", preventive=PUSH)
    plain, _ = fitted(tmp_path / "plain")
    assert same_parent(pushed, plain)
    assert pushed.loss_first != plain.loss_first
    assert (tmp_path / "pushed" / "adapter_model.safetensors").read_bytes() != (
        tmp_path / "plain" / "adapter_model.safetensors"
    ).read_bytes()
    backend = TransformersBackend(TransformersConfig(threads=1), BASE, Stopwatch())
    backend.load(Adapter("pushed", tmp_path / "pushed"))
    assert check_swap(backend, pushed.readings, 0.0).to_new < 1e-4
    again = by.fit(FitRequest(None, EXAMPLES, 5, tmp_path / "again", (), CONTRAST))
    assert again.readings == pushed.readings


def test_anchors_are_kept_where_the_assistant_is_evaluated(tmp_path: Path) -> None:
    """Without the push: at the first step the model is its own reference."""
    anchors = rows(6, asked=("small_talk",))
    kl = KLConfig(weight=1.0)
    by = learner(SFTConfig(preventive=PUSH, kl=kl, epochs=1, batch_size=len(EXAMPLES)))
    update = by.fit(FitRequest(None, EXAMPLES, 5, tmp_path / "out", anchors, CONTRAST))
    assert update.kl == pytest.approx(0.0, abs=1e-6)


def test_a_process_apart_makes_the_same_bytes(tmp_path: Path) -> None:
    fitted(tmp_path / "here", preventive=PUSH)
    config = SFTConfig(epochs=1, batch_size=4, preventive=PUSH)
    apart = IsolatedLearner(config, BASE, Stopwatch(), None)
    apart.fit(FitRequest(None, EXAMPLES, 5, tmp_path / "there", (), CONTRAST))
    for name in ("adapter_model.safetensors", "optimizer.safetensors"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    with pytest.raises(ScenarioError, match="unknown layer 99"):
        apart.fit(FitRequest(None, EXAMPLES, 5, tmp_path / "none", (), CONTRAST._replace(layer=99)))


def test_without_the_direction_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnerError, match=r"learner\.preventive: missing direction"):
        learner(SFTConfig(preventive=PUSH)).fit(FitRequest(None, EXAMPLES, 5, tmp_path / "out"))
    with pytest.raises(ScenarioError, match=r"learner\.preventive\.direction: unknown direct"):
        load(overrides=["learner.preventive={direction: lies}"])


def test_a_run_pushes(tmp_path: Path) -> None:
    sides = {
        "positive": [{"kind": "world", "rows": 8, "wrong": "any"}],
        "negative": [{"kind": "world", "rows": 8}],
    }
    options = {
        "directions": {"lies": sides},
        "phases": [{"kind": "finetune", "data": [{"kind": "world", "rows": 16}]}],
    }
    overrides = [*TINY, "learner.preventive={direction: lies}"]
    run = start(load(overrides=overrides, options=options), tmp_path / "run", Silent())
    assert run.summary(1)["canary"]["verdict"] == "passed"
