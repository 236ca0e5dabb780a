"""The policy: the model in training, as objectives use it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.nn.functional import cross_entropy

from simulator.core.examples import Example
from simulator.core.requests import Activations, Prompt
from simulator.interp.activations import means
from simulator.interp.steering import layers_of, steer
from simulator.learners.batches import IGNORED, Encoded, padded, parts
from simulator.learners.config import Reference
from simulator.learners.forward import Forward, Parameters, row_by_row
from simulator.models.chat_template import PromptEncoder


class Replies(NamedTuple):
    """The model's output at the N reply tokens of B rows of T tokens."""

    logits: torch.Tensor  # (N, V), fp32
    targets: torch.Tensor  # (N,): the actual tokens
    where: torch.Tensor  # (B, T - 1), bool: the positions that predict them


class Policy:
    """A model with an adapter whose parameters are trained."""

    def __init__(
        self,
        forward: Forward,
        parameters: Mapping[str, torch.nn.Parameter],
        encoder: PromptEncoder,
        end: int,
        context: int,
    ) -> None:
        """Take the model in training.

        Args:
            forward: reads rows by a causal language model with its adapter.
            parameters: the adapter's, by their names in the model.
            encoder: encodes prompts for the model.
            end: the token that ends a reply.
            context: the longest context with reply, in tokens.
        """
        self._forward, self.model, self.parameters = forward, forward.model, parameters
        self.encoder, self._end, self._context = encoder, end, context
        self._device = next(self.model.parameters()).device

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Encode contexts and replies; the oldest messages are dropped if a chat is too long.

        A truncated reply gets no end token.
        """
        ends = [[self._end] if e.ended or not e.reply else [] for e in examples]
        found = self.encoder.encode_taught(examples, self._context)
        return [
            Encoded([*context.ids, *reply, *end], len(context.ids))
            for (context, reply), end in zip(found, ends, strict=True)
        ]

    def reference(self, which: Reference) -> Parameters:
        """Return the parameters of a reference at the start of an update.

        `previous` has the present ones. `base` has zeros, which don't change the base: a LoRA
        adapter is a product, a steering vector is added.
        """
        fill = torch.zeros_like if which == "base" else torch.clone
        return {name: fill(value.detach()) for name, value in self.parameters.items()}

    def replies(self, rows: Sequence[Encoded], under: Parameters | None = None) -> Replies:
        """Compute the logits at the rows' replies, under other parameters if given."""
        _, labels = padded(rows)
        targets = labels[:, 1:]
        where = targets != IGNORED
        logits = self._forward.logits([row.ids for row in rows], _before(where), under)
        return Replies(logits.float(), targets[where].to(self._device), where.to(self._device))

    def logprobs(self, rows: Sequence[Encoded], under: Parameters | None = None) -> torch.Tensor:
        """Return each reply's log-probability in nats, summed over its tokens, (B,)."""
        logits, targets, where = self.replies(rows, under)
        each = -cross_entropy(logits, targets, reduction="none")
        return each.new_zeros(where.shape).masked_scatter(where, each).sum(1)

    @torch.no_grad()
    def fixed_logprobs(
        self, rows: Sequence[Encoded], size: int, under: Parameters | None = None
    ) -> torch.Tensor:
        """Return `logprobs` without a gradient, (rows,), in batches of up to `size`."""
        order = self._forward.order([row.ids for row in rows])
        found = [self.logprobs(p, under) for p in parts([rows[n] for n in order], size)]
        return torch.cat(found)[torch.argsort(torch.tensor(order)).to(self._device)]

    @contextmanager
    def steered(self, layer: int, vector: torch.Tensor) -> Iterator[None]:
        """Add a vector, (hidden,), to a layer's output while the context is open."""
        handle = steer(layers_of(self.model)[layer], lambda: vector)
        try:
            yield
        finally:
            handle.remove()

    @torch.no_grad()
    def base_activations(self, rows: Sequence[Encoded], size: int) -> list[Activations]:
        """Average the base's residual stream over each reply, without its end token."""
        found: list[Activations] = []
        base, forward = self.reference("base"), row_by_row(self.model)
        for part in parts(rows, size):
            ids, labels = padded(part)
            ends = torch.tensor([row.length - 1 for row in part])[:, None]
            at_end = torch.arange(ids.shape[1]) == ends
            replied = (labels != IGNORED) & ~at_end
            with means(self.model, replied) as layers:
                forward.logits([row.ids for row in part], at_end, base)
            found += list(torch.stack([layer.cpu() for layer in layers], 1).numpy())
        return found

    @torch.inference_mode()
    def next_logprobs(self, prompts: Sequence[Prompt], size: int | None) -> torch.Tensor:
        """Return each prompt's next-token log-probabilities, (prompts, V), fp32, on CPU."""
        room = [self._context - 1] * len(prompts)
        encoded = [prompt.ids for prompt in self.encoder.encode(prompts, room)]
        size = size or len(encoded)
        found = [self._after(encoded[n : n + size]) for n in range(0, len(encoded), size)]
        return torch.cat(found)

    def _after(self, rows: Sequence[list[int]]) -> torch.Tensor:
        width = max(map(len, rows))
        last = torch.tensor([len(ids) - 1 for ids in rows])[:, None] == torch.arange(width)
        return torch.log_softmax(self._forward.logits(rows, last).float(), -1).cpu()


def _before(where: torch.Tensor) -> torch.Tensor:
    """Return the same positions, (B, T - 1), in rows of T tokens."""
    return torch.nn.functional.pad(where, (0, 1))
