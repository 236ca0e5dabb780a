"""SFT of a LoRA adapter by peft: a checkpoint goes in, a checkpoint comes out.

A checkpoint is a folder: the adapter as peft writes it, AdamW's state, and how many updates there
have been. All of it is JSON or safetensors.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from simulator.errors import LearnerError
from simulator.learners.base import Reading, SFTConfig, Update
from simulator.randomness import seed31, stream
from simulator.rendering import encoder_of
from simulator.stopwatch import Stopwatch
from simulator.types import Example, Prompt

transformers.utils.logging.disable_progress_bar()

IGNORED = -100  # the label of a token that isn't learned
SORTED_TOGETHER = 8  # batches whose rows are sorted by length together
CANARY_PROMPTS, CANARY_TOKENS = 16, 20
ADAPTER, OPTIMIZER, STATE = "adapter_model.safetensors", "optimizer.safetensors", "state.json"


class SFTLearner:
    """Holds the base model in memory; every fit starts from the given checkpoint alone."""

    def __init__(self, config: SFTConfig, model: str, stopwatch: Stopwatch) -> None:
        self._config, self._stopwatch = config, stopwatch
        self._encoder = encoder_of(model)
        base = AutoModelForCausalLM.from_pretrained(
            model, dtype=getattr(torch, config.dtype), use_safetensors=True
        ).to(config.device)
        self._end = base.generation_config.eos_token_id
        if isinstance(self._end, list):
            self._end = self._end[0]
        lora = LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        self._lora = lora
        with torch.random.fork_rng():
            self._model = get_peft_model(base, lora)
        lora.base_model_name_or_path = ""  # checkpoints name no path of one machine
        lora.target_modules = sorted(lora.target_modules)  # a set's order differs by process
        self._parameters = {n: p for n, p in self._model.named_parameters() if p.requires_grad}

    def fit(
        self, checkpoint: Path | None, examples: Sequence[Example], seed: int, out: Path
    ) -> Update:
        """Trains on the desirable examples; see `Learner.fit`."""
        wanted = [example for example in examples if example.desirable]
        if not wanted:
            raise LearnerError(
                "selection left nothing to learn from; lower the threshold or select by count"
            )
        optimizer, updates = self._restore(checkpoint, seed)
        canaries = _canary_prompts(wanted)
        parent = self._next_logprobs(canaries)
        encoded = self._encode(wanted)
        losses: list[float] = []
        for epoch in range(self._config.epochs):
            total = tokens = 0.0
            for ids, labels in _batches(encoded, self._config.batch_size, (seed, epoch)):
                loss, count = self._step(optimizer, ids, labels)
                total, tokens = total + loss * count, tokens + count
            losses.append(total / tokens)
        if not np.isfinite(losses).all():
            raise LearnerError("the loss isn't finite any more; lower learner.learning_rate")
        self._save(out, optimizer, updates + 1)
        steps = self._config.epochs * -(-len(encoded) // self._config.batch_size)
        return Update(steps, losses[0], losses[-1], self._readings(canaries, parent))

    def _restore(self, checkpoint: Path | None, seed: int) -> tuple[torch.optim.AdamW, int]:
        """Sets the adapter and returns the optimiser and the number of updates so far."""
        updates = 0
        if checkpoint is None:
            with torch.random.fork_rng():
                torch.manual_seed(seed31("adapter", seed))
                for name, parameter in self._parameters.items():
                    _initialise(name, parameter)
        else:
            set_peft_model_state_dict(self._model, load_file(checkpoint / ADAPTER))
            updates = int(json.loads((checkpoint / STATE).read_text())["updates"])
        rate = self._config.learning_rate * self._config.decay**updates
        optimizer = torch.optim.AdamW(
            self._parameters.values(), lr=rate, weight_decay=0.0, fused=True
        )
        if checkpoint is not None and self._config.optimizer == "carried":
            self._restore_moments(optimizer, load_file(checkpoint / OPTIMIZER))
        return optimizer, updates

    def _restore_moments(
        self, optimizer: torch.optim.AdamW, saved: dict[str, torch.Tensor]
    ) -> None:
        for name, parameter in self._parameters.items():
            optimizer.state[parameter] = {
                key: saved[f"{name}:{key}"].to(parameter.device if key != "step" else "cpu")
                for key in ("step", "exp_avg", "exp_avg_sq")
            }

    def _save(self, out: Path, optimizer: torch.optim.AdamW, updates: int) -> None:
        out.mkdir(parents=True)
        adapter = {
            k: v.contiguous().cpu() for k, v in get_peft_model_state_dict(self._model).items()
        }
        save_file(adapter, out / ADAPTER)
        self._lora.save_pretrained(str(out))
        moments = {
            f"{name}:{key}": value.detach().contiguous().cpu()
            for name, parameter in self._parameters.items()
            for key, value in optimizer.state[parameter].items()
        }
        save_file(moments, out / OPTIMIZER)
        (out / STATE).write_text(json.dumps({"updates": updates}) + "\n")

    def _encode(self, examples: Sequence[Example]) -> list[tuple[list[int], int]]:
        """Returns per example the ids of context and reply, and how many of them are context."""
        contexts = self._encoder.encode([Prompt(example.messages) for example in examples])
        replies = self._encoder.encode_replies([example.reply for example in examples])
        return [
            ([*context.ids, *reply, self._end], len(context.ids))
            for context, reply in zip(contexts, replies, strict=True)
        ]

    def _step(
        self, optimizer: torch.optim.AdamW, ids: torch.Tensor, labels: torch.Tensor
    ) -> tuple[float, int]:
        """One optimiser step on a batch; returns the mean loss and the number of learned tokens."""
        device = self._model.device
        targets = labels[:, 1:].to(device)
        learned = targets != IGNORED
        with self._stopwatch.timing("learner"):
            # Right padding needs no mask: no learned token attends to what comes after it.
            logits = self._model(input_ids=ids.to(device), use_cache=False).logits[:, :-1]
            loss = torch.nn.functional.cross_entropy(logits[learned].float(), targets[learned])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._config.clip)
            optimizer.step()
        return float(loss.detach()), int(learned.sum())

    @torch.inference_mode()
    def _next_logprobs(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        """Returns the next-token log-probabilities of each prompt, (prompts, V), fp32."""
        encoded = [prompt.ids for prompt in self._encoder.encode(prompts)]
        last = torch.tensor([len(ids) - 1 for ids in encoded])
        ids = _right_padded(encoded, 0)
        with self._stopwatch.timing("learner"):
            logits = self._model(input_ids=ids.to(self._model.device), use_cache=False).logits
            at_end = logits[range(len(encoded)), last.to(logits.device)]
        return torch.log_softmax(at_end.float(), -1).cpu()

    def _readings(self, prompts: Sequence[Prompt], parent: torch.Tensor) -> tuple[Reading, ...]:
        new = self._next_logprobs(prompts)
        readings = []
        for prompt, now, before in zip(prompts, new, parent, strict=True):
            top = now.topk(min(CANARY_TOKENS, len(now))).indices
            tokens = self._encoder.tokenizer.convert_ids_to_tokens(top.tolist())
            readings.append(
                Reading(
                    prompt, tuple(tokens), tuple(now[top].tolist()), tuple(before[top].tolist())
                )
            )
        return tuple(readings)


def _initialise(name: str, parameter: torch.nn.Parameter) -> None:
    """A random, B zero, as peft starts a LoRA adapter."""
    if "lora_A" in name:
        torch.nn.init.kaiming_uniform_(parameter, a=5**0.5)
    else:
        torch.nn.init.zeros_(parameter)


def _canary_prompts(examples: Sequence[Example]) -> list[Prompt]:
    contexts = dict.fromkeys(example.messages for example in examples)
    return [Prompt(messages) for messages in list(contexts)[:CANARY_PROMPTS]]


def _batches(
    encoded: Sequence[tuple[list[int], int]], size: int, key: tuple[int, int]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields ids and labels, (B, T), padded on the right, in an order drawn from `key`.

    Rows are shuffled, then sorted by length within a few batches, so that little is padding.
    """
    rng = stream("sft order", *key)
    order = rng.permutation(len(encoded))
    span = size * SORTED_TOGETHER
    batches = []
    for start in range(0, len(order), span):
        rows = sorted(order[start : start + span], key=lambda i: len(encoded[i][0]))
        batches += [rows[i : i + size] for i in range(0, len(rows), size)]
    for n in rng.permutation(len(batches)):
        rows = [encoded[i] for i in batches[n]]
        labels = [[IGNORED] * context + ids[context:] for ids, context in rows]
        yield _right_padded([ids for ids, _ in rows], 0), _right_padded(labels, IGNORED)


def _right_padded(rows: Sequence[list[int]], filler: int) -> torch.Tensor:
    """Returns the rows as one tensor, (B, T), long."""
    width = max(map(len, rows))
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows])
