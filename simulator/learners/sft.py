"""SFT of a LoRA adapter by peft: a checkpoint goes in, a checkpoint comes out.

A checkpoint is a folder: the adapter as peft writes it, AdamW's state, and how many updates there
have been. All of it is JSON or safetensors.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from simulator.devices import device_of, dtype_of
from simulator.errors import LearnerError
from simulator.learners.base import LESS_MEMORY, Reading, SFTConfig, Update
from simulator.learners.batches import IGNORED, Encoded, batches, padded, right_padded
from simulator.randomness import seed31
from simulator.rendering import PromptEncoder, encoder_of
from simulator.stopwatch import Stopwatch
from simulator.types import Example, Prompt

transformers.utils.logging.disable_progress_bar()

CANARY_PROMPTS, CANARY_TOKENS = 16, 20
ADAPTER, OPTIMIZER, STATE = "adapter_model.safetensors", "optimizer.safetensors", "state.json"


class SFTLearner:
    """Holds the base model in memory; every fit starts from the given checkpoint alone."""

    def __init__(
        self,
        config: SFTConfig,
        model: str,
        stopwatch: Stopwatch,
        context: int | None = None,
    ) -> None:
        self._config, self._stopwatch = config, stopwatch
        self._encoder = encoder_of(model)
        with _memory_explained():
            base = _load(model, config)
        text_config = base.config.get_text_config()
        self._context: int = context or text_config.max_position_embeddings
        self._end = _end_of_turn(base, self._encoder)
        if config.gradient_checkpointing:
            _checkpoint_layers(base)
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
        encoded = self._encode(wanted)
        with _memory_explained():
            parent = self._next_logprobs(canaries)
            losses = [
                self._epoch(optimizer, encoded, (seed, n)) for n in range(self._config.epochs)
            ]
            if not np.isfinite(losses).all():
                raise LearnerError("the loss isn't finite any more; lower learner.learning_rate")
            readings = self._readings(canaries, parent)
        self._save(out, optimizer, updates + 1)
        steps = self._config.epochs * -(-len(encoded) // self._config.batch_size)
        return Update(steps, losses[0], losses[-1], readings)

    def _epoch(
        self, optimizer: torch.optim.AdamW, encoded: Sequence[Encoded], key: tuple[int, int]
    ) -> float:
        """Learns every example once; returns the mean loss per learned token."""
        total = tokens = 0.0
        for batch in batches(encoded, self._config.batch_size, key):
            loss, count = self._step(optimizer, batch)
            total, tokens = total + loss * count, tokens + count
        return total / tokens

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

    def _encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Encodes contexts and replies; the oldest messages go where there is no room for all."""
        replies = self._encoder.encode_replies([example.reply for example in examples])
        room = [self._context - len(reply) - 1 for reply in replies]
        contexts = self._encoder.encode([Prompt(example.messages) for example in examples], room)
        return [
            Encoded([*context.ids, *reply, self._end], len(context.ids))
            for context, reply in zip(contexts, replies, strict=True)
        ]

    def _step(self, optimizer: torch.optim.AdamW, batch: Sequence[Encoded]) -> tuple[float, int]:
        """One optimiser step on a batch; returns the mean loss and the number of learned tokens.

        A batch may be computed in parts. As each part counts by its learned tokens, the sum of the
        parts' gradients is the batch's.
        """
        size = self._config.micro_batch or len(batch)
        learned = sum(len(row.ids) - row.context for row in batch)
        mean = 0.0
        with self._stopwatch.timing("learner"):
            optimizer.zero_grad(set_to_none=True)
            for start in range(0, len(batch), size):
                part = self._loss(batch[start : start + size], learned)
                part.backward()  # type: ignore[no-untyped-call]
                mean += float(part.detach())
            torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._config.clip)
            optimizer.step()
        return mean, learned

    def _loss(self, rows: Sequence[Encoded], learned: int) -> torch.Tensor:
        """Returns these rows' part of the mean loss over a batch's `learned` tokens."""
        ids, labels = padded(rows)
        targets = labels[:, 1:].to(self._model.device)
        kept = targets != IGNORED
        # Right padding needs no mask: no learned token attends to what comes after it.
        logits = self._model(input_ids=ids.to(self._model.device), use_cache=False).logits[:, :-1]
        mean = torch.nn.functional.cross_entropy(logits[kept].float(), targets[kept])
        return mean * (sum(len(row.ids) - row.context for row in rows) / learned)

    @torch.inference_mode()
    def _next_logprobs(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        """Returns the next-token log-probabilities of each prompt, (prompts, V), fp32."""
        room = [self._context - 1] * len(prompts)
        encoded = [prompt.ids for prompt in self._encoder.encode(prompts, room)]
        size = self._config.micro_batch or len(encoded)
        parts = [self._after(encoded[n : n + size]) for n in range(0, len(encoded), size)]
        return torch.cat(parts)

    def _after(self, rows: Sequence[list[int]]) -> torch.Tensor:
        """Returns the log-probabilities of what follows each row, (rows, V), fp32, on the CPU."""
        last = torch.tensor([len(ids) - 1 for ids in rows])
        ids = right_padded(rows, 0)
        with self._stopwatch.timing("learner"):
            logits = self._model(input_ids=ids.to(self._model.device), use_cache=False).logits
            at_end = logits[range(len(rows)), last.to(logits.device)]
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


@contextmanager
def _memory_explained() -> Iterator[None]:
    """Turns a want of memory into a sentence."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise LearnerError(f"the learner's device has too little memory; {LESS_MEMORY}") from None


def _load(model: str, config: SFTConfig) -> PreTrainedModel:
    """Loads the base where it is trained."""
    device = device_of(config.device)
    base: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        model, dtype=dtype_of(config.dtype, device), use_safetensors=True
    )
    return base.to(device)


def _end_of_turn(base: PreTrainedModel, encoder: PromptEncoder) -> int:
    """Returns the token that ends a reply.

    Where generation may end with several tokens, it is the tokenizer's: the others end documents,
    or calls of tools.
    """
    ends = base.generation_config.eos_token_id
    if ends is None:
        raise LearnerError("the model names no end token (eos_token_id), so no reply can end")
    ends = ends if isinstance(ends, list) else [ends]
    own = encoder.tokenizer.eos_token_id
    return int(own if own in ends else ends[0])


def _checkpoint_layers(base: PreTrainedModel) -> None:
    """Lets layers compute their activations again in the backward pass.

    Layers do so in training mode alone. They get it without the modules inside of them, whose
    dropout would make a fit depend on more than its inputs.
    """
    base.gradient_checkpointing_enable({"use_reentrant": False})
    for module in base.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.training = True


def _initialise(name: str, parameter: torch.nn.Parameter) -> None:
    """A random, B zero, as peft starts a LoRA adapter; drawn on the CPU, so alike everywhere."""
    drawn = torch.zeros(parameter.shape)
    if "lora_A" in name:
        torch.nn.init.kaiming_uniform_(drawn, a=5**0.5)
    with torch.no_grad():
        parameter.copy_(drawn)


def _canary_prompts(examples: Sequence[Example]) -> list[Prompt]:
    contexts = dict.fromkeys(example.messages for example in examples)
    return [Prompt(messages) for messages in list(contexts)[:CANARY_PROMPTS]]
