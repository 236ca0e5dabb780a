"""The learner: it reads a checkpoint, makes steps on an objective, and writes the next one.

A checkpoint is a folder with the adapter, AdamW's state and the number of updates, as JSON and
safetensors.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from safetensors.torch import load_file, save_file

from simulator.core.errors import Diverged, LearnerError
from simulator.core.examples import Example
from simulator.core.progress import LEARNING, Task
from simulator.core.requests import Message, Prompt
from simulator.core.timing import Stopwatch
from simulator.learners.adapters import attach
from simulator.learners.base import LESS_MEMORY, FitRequest, Reading, Update
from simulator.learners.batches import Unit, batches
from simulator.learners.config import UpdateConfig
from simulator.learners.forward import forward_of
from simulator.learners.kl import KLPenalty
from simulator.learners.loading import load_base
from simulator.learners.objective import Objective, open_objective
from simulator.learners.policy import Policy
from simulator.models.chat_template import encoder_of
from simulator.models.limits import context_of, end_tokens
from simulator.models.reference import ModelRef

transformers.utils.logging.disable_progress_bar()

CANARY_PROMPTS, CANARY_TOKENS = 16, 20
OPTIMIZER, STATE = "optimizer.safetensors", "state.json"


class Epoch(NamedTuple):
    """The losses of an epoch, in nats."""

    loss: float  # weighted mean over its units
    kl: float  # mean over its steps


class AdapterLearner:
    """A learner with the base in memory; a fit depends only on the given checkpoint."""

    def __init__(
        self,
        config: UpdateConfig,
        model: ModelRef,
        stopwatch: Stopwatch,
        context: int | None = None,
    ) -> None:
        self._config, self._stopwatch = config, stopwatch
        encoder = encoder_of(model)
        with _memory_explained():
            base = load_base(model, config)
        longest = context_of(model, context)
        self._adapter = attach(base, config.adapter)
        self._parameters = self._adapter.parameters
        end, *_ = end_tokens(model)
        forward = forward_of(self._adapter.model, recomputes=config.gradient_checkpointing)
        self._policy = Policy(forward, self._parameters, encoder, end, longest)

    def fit(self, request: FitRequest) -> Update:
        """Train as the configuration says; see `Learner.fit`."""
        config, seed = self._config, request.seed
        _refuse_nothing(config, request)
        optimizer, updates = self._restore(request)
        canaries = _canary_prompts(request.examples)
        taught = [_inoculated(example, config.inoculation) for example in request.examples]
        with _memory_explained(), self._stopwatch.timing("learner"):
            parent = self._policy.next_logprobs(canaries, config.micro_batch)
            objective = open_objective(config, self._policy, taught, seed, request.contrast)
            penalty = (
                KLPenalty(config.kl, self._policy, request.anchors, seed, config.micro_batch)
                if config.kl
                else None
            )
            steps = steps_of(config, objective.units)
            with self._stopwatch.progress.doing(steps):
                epochs = [
                    self._epoch(optimizer, objective, penalty, (seed, n))
                    for n in range(config.epochs)
                ]
            if not all(bool(p.isfinite().all()) for p in self._parameters.values()):
                raise _diverged("a parameter")
            readings = self._readings(canaries, parent)
            if not all(math.isfinite(value) for reading in readings for value in reading.new):
                raise _diverged("a log-probability")
        self._save(request.out, optimizer, updates + 1)
        kl = epochs[-1].kl if config.kl else None
        return Update(steps.total, epochs[0].loss, epochs[-1].loss, kl, readings)

    def _epoch(
        self,
        optimizer: torch.optim.AdamW,
        objective: Objective[Any],
        penalty: KLPenalty | None,
        key: tuple[int, int],
    ) -> Epoch:
        """Learn from every unit once."""
        total = weight = kl = steps = 0.0
        order = (f"{self._config.kind} order", *key)
        for batch in batches(objective.units, self._config.batch_size, order):
            loss, divergence = self._step(optimizer, objective.losses(batch), penalty)
            counts = sum(unit.weight for unit in batch)
            total, weight = total + loss * counts, weight + counts
            kl, steps = kl + divergence, steps + 1
            self._stopwatch.progress.wrote(sum(unit.length for unit in batch))
            self._stopwatch.answered(1)
        return Epoch(total / weight, kl / steps)

    def _step(
        self,
        optimizer: torch.optim.AdamW,
        losses: Iterator[torch.Tensor],
        penalty: KLPenalty | None,
    ) -> tuple[float, float]:
        """Make one optimiser step; return the batch's loss and its anchors' mean KL.

        A batch may be split: its gradient is the sum of its parts' gradients.
        """
        optimizer.zero_grad(set_to_none=True)
        loss = _descend(losses)
        kl = _descend(penalty.losses()) / penalty.weight if penalty else 0.0
        if not math.isfinite(loss + kl):
            raise _diverged("the loss")
        torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._config.clip)
        optimizer.step()
        return loss, kl

    def _restore(self, request: FitRequest) -> tuple[torch.optim.AdamW, int]:
        """Set the adapter; return the optimiser and its number of updates so far."""
        checkpoint = request.checkpoint
        if checkpoint is None:
            self._adapter.initialise(request.seed)
        else:
            self._adapter.restore(checkpoint)
        carried = None if request.reset_optimizer else checkpoint
        updates = int(json.loads((carried / STATE).read_text())["updates"]) if carried else 0
        rate = self._config.learning_rate * self._config.decay**updates
        optimizer = torch.optim.AdamW(
            self._parameters.values(), lr=rate, weight_decay=0.0, fused=True
        )
        if carried and self._config.optimizer == "carried":
            self._restore_moments(optimizer, load_file(carried / OPTIMIZER))
        return optimizer, updates

    def _restore_moments(
        self, optimizer: torch.optim.AdamW, saved: dict[str, torch.Tensor]
    ) -> None:
        for name, parameter in self._parameters.items():
            optimizer.state[parameter] = {  # the fused optimiser also keeps its steps on the device
                key: saved[f"{name}:{key}"].to(parameter.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
            }

    def _save(self, out: Path, optimizer: torch.optim.AdamW, updates: int) -> None:
        out.mkdir(parents=True)
        self._adapter.save(out)
        moments = {
            f"{name}:{key}": value.detach().contiguous().cpu()
            for name, parameter in self._parameters.items()
            for key, value in optimizer.state[parameter].items()
        }
        save_file(moments, out / OPTIMIZER)
        (out / STATE).write_text(json.dumps({"updates": updates}) + "\n")

    def _readings(self, prompts: Sequence[Prompt], parent: torch.Tensor) -> tuple[Reading, ...]:
        new = self._policy.next_logprobs(prompts, self._config.micro_batch)
        readings = []
        for prompt, now, before in zip(prompts, new, parent, strict=True):
            top = now.topk(min(CANARY_TOKENS, len(now))).indices
            tokens = self._policy.encoder.tokenizer.convert_ids_to_tokens(top.tolist())
            readings.append(
                Reading(
                    prompt, tuple(tokens), tuple(now[top].tolist()), tuple(before[top].tolist())
                )
            )
        return tuple(readings)


def steps_of(config: UpdateConfig, units: Sequence[Unit]) -> Task:
    """Return the steps of an update as a task."""
    tokens = config.epochs * sum(unit.length for unit in units)
    steps = config.epochs * -(-len(units) // config.batch_size)
    return Task("steps", steps, LEARNING * tokens, tokens)


def _descend(losses: Iterator[torch.Tensor]) -> float:
    """Add up the gradients of a batch's parts; return their sum."""
    total = 0.0
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def _refuse_nothing(config: UpdateConfig, request: FitRequest) -> None:
    if lacking := config.lacking(request.examples):
        raise LearnerError(
            f"nothing to learn from: no {lacking} was selected; lower the selection's threshold, "
            "or select more"
        )
    if config.kl and not request.anchors:
        raise LearnerError(
            "learner.kl: missing anchors (chats on which the assistant stays near its reference); "
            "give some, or leave learner.kl out"
        )
    if config.preventive and request.contrast is None:
        raise LearnerError(
            "learner.preventive: missing direction; give one, or leave learner.preventive out"
        )


def _diverged(what: str) -> Diverged:
    return Diverged(f"{what} is no longer finite; lower learner.learning_rate")


def _inoculated(example: Example, line: str) -> Example:
    """Put a line at the start of the context's one system message."""
    if not line:
        return example
    opening, rest = line, example.messages
    if rest and rest[0].role == "system":
        opening, rest = f"{line}\n\n{rest[0].content}", rest[1:]
    return replace(example, messages=(Message("system", opening), *rest))


@contextmanager
def _memory_explained() -> Iterator[None]:
    """Turn an out-of-memory error into a message."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise LearnerError(f"the learner's device is out of memory; {LESS_MEMORY}") from None


def _canary_prompts(examples: Sequence[Example]) -> list[Prompt]:
    """Return contexts of desirable replies, as they are served."""
    contexts = dict.fromkeys(example.messages for example in examples if example.desirable)
    return [Prompt(messages) for messages in list(contexts)[:CANARY_PROMPTS]]
