"""The decode loop: sampling on the model's own KV cache with one random stream per row.

`generate` of transformers draws from one global generator, so a row's text depends on its batch.
Here a row's uniforms come from its key and a token is found by inverting the row's cumulative
distribution. Four more things make it fast: samples of one prompt share its prefill, prompts are
prefilled with others of similar length, keys and values live in buffers that are written in place,
and rows that have ended leave the batch.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel

from simulator.backends.buffers import select_lines
from simulator.backends.prefill import forward, prefilled
from simulator.core.timing import Stopwatch

KEEP_SHARE = 0.5  # the batch is compacted when a smaller share of its rows is still running


class Row(NamedTuple):
    """One sample to draw: which prompt it continues, and how."""

    prompt: int
    uniforms: np.ndarray  # on [0, 1), one for each token of the longest reply of all rows
    temperature: float
    limit: int  # tokens of the reply at most


def sample(logits: torch.Tensor, temperatures: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Draw one token a row by inverting the cumulative distribution at the row's uniform.

    Args:
        logits: (B, V).
        temperatures: (B,), 0 for greedy.
        u: (B,), on [0, 1).

    Returns:
        Token ids, (B,).
    """
    greedy = temperatures == 0
    if bool(greedy.all()):
        return likeliest(logits)
    scaled = logits.float() / torch.where(greedy, 1.0, temperatures)[:, None]
    cumulative = torch.softmax(scaled, -1).double().cumsum_(-1)
    drawn = torch.searchsorted(cumulative, u[:, None] * cumulative[:, -1:], right=True)[:, 0]
    drawn = drawn.clamp(max=logits.shape[-1] - 1)
    if bool(greedy.any()):  # a large vocabulary isn't searched for nothing
        drawn = torch.where(greedy, likeliest(logits), drawn)
    return drawn


def likeliest(logits: torch.Tensor) -> torch.Tensor:
    """Return the ids of the likeliest tokens, (B,); `argmax` is five times as slow in bfloat16."""
    return logits.max(-1).indices


class Lines(NamedTuple):
    """The lines of a batch, one per row that is being drawn."""

    row: torch.Tensor  # (B,), index into the rows
    alive: torch.Tensor  # (B,), bool: has the reply not ended yet?
    mask: torch.Tensor  # (B, T)
    position: torch.Tensor  # (B,), of the token about to be drawn
    temperature: torch.Tensor  # (B,)
    limit: torch.Tensor  # (B,), tokens of the reply at most
    uniforms: torch.Tensor  # (B, tokens of the longest reply)

    @classmethod
    def of(cls, rows: Sequence[Row], mask: torch.Tensor) -> "Lines":
        """Start a line for each row; `mask` is that of its prompt, (B, T)."""
        device = mask.device
        return cls(
            row=torch.arange(len(rows), device=device),
            alive=torch.ones(len(rows), dtype=torch.bool, device=device),
            mask=mask,
            position=mask.sum(-1),
            temperature=torch.tensor([row.temperature for row in rows], device=device),
            limit=torch.tensor([row.limit for row in rows], device=device),
            uniforms=torch.tensor(np.stack([row.uniforms for row in rows]), device=device),
        )

    def at(self, lines: torch.Tensor) -> "Lines":
        """Return the lines with these indices."""
        return Lines(*(column[lines] for column in self))

    def grown(self) -> "Lines":
        """Return the lines, each one token longer."""
        mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], -1)
        return self._replace(mask=mask, position=self.position + 1)


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[list[int]],
    rows: Sequence[Row],
    *,
    pad: int,
    ends: frozenset[int],
    stopwatch: Stopwatch,
) -> list[list[int]]:
    """Sample a reply for each row.

    Args:
        model: any causal language model with a KV cache.
        prompts: token ids, the shortest first; each is prefilled once for all rows that
            continue it.
        rows: the samples, in order of their prompts.
        pad: the padding token.
        ends: tokens that end a reply.
        stopwatch: gets the time inside the model as `model`, and counts the tokens.

    Returns:
        The new token ids of each row; a reply that ended has its end token last.
    """
    device, longest = model.device, max(row.limit for row in rows)
    cache, mask, logits, line_of = prefilled(model, prompts, pad, stopwatch)
    owner = line_of[torch.tensor([row.prompt for row in rows], device=device)]
    logits = logits[owner]
    select_lines(cache, owner, longest)
    lines = Lines.of(rows, mask[owner])
    drawn = torch.full((len(rows), longest), -1, device=device)
    ended_by = torch.zeros(logits.shape[-1], dtype=torch.bool, device=device)
    ended_by[list(ends)] = True
    left = len(rows)
    for step in range(longest):
        stopwatch.wrote(left)
        tokens = sample(logits, lines.temperature, lines.uniforms[:, step])
        drawn[lines.row[lines.alive], step] = tokens[lines.alive]
        goes_on = ~ended_by[tokens] & (lines.limit > step + 1)
        lines = lines._replace(alive=lines.alive & goes_on)
        left = int(lines.alive.sum())
        if left == 0:
            break
        if left < KEEP_SHARE * len(tokens):
            kept = lines.alive.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            lines, tokens = lines.at(kept), tokens[kept]
        position, lines = lines.position, lines.grown()
        logits = forward(model, cache, stopwatch, tokens[:, None], lines.mask, position[:, None])
    return [[token for token in line if token >= 0] for line in drawn.tolist()]


def in_batches(
    lengths: Sequence[int], weights: Sequence[int], limit: int, run: Callable[[list[int]], None]
) -> None:
    """Call `run` on groups of indices of similar length whose weights sum to at most `limit`."""
    group: list[int] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if group and total + weights[index] > limit:
            run(group)
            group, total = [], 0
        group.append(index)
        total += weights[index]
    if group:
        run(group)
