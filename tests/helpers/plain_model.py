"""A pretrained model as one would use it without this tool: plain batches of transformers."""

import time
from collections.abc import Callable
from functools import partial

import torch
from transformers import PreTrainedModel

BATCHES = (16, 32, 64)  # rows of a plain batch: the fastest counts


def padded(rows: list[list[int]], pad: int) -> dict[str, torch.Tensor]:
    """Left-padded rows as a batch."""
    width = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[pad] * (width - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows]),
    }


@torch.inference_mode()
def generate_plainly(model: PreTrainedModel, rows: list[list[int]], **options: object) -> None:
    """Transformers' own way, with the head's input contiguous, which it isn't by itself."""
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))
    try:
        model.generate(
            **padded(rows, 0), do_sample=True, temperature=1.0, top_k=0, pad_token_id=0, **options
        )
    finally:
        hook.remove()


@torch.inference_mode()
def read_plainly(
    model: PreTrainedModel, rows: list[list[int]], last: list[int], size: int
) -> list[torch.Tensor]:
    """Log-probabilities of each row's last tokens, in sorted batches, the head there alone."""
    found: dict[int, torch.Tensor] = {}
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    for group in (order[n : n + size] for n in range(0, len(order), size)):
        batch = padded([rows[n] for n in group], 0)
        places = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        hidden = model.model(**batch, position_ids=places, use_cache=False).last_hidden_state
        for line, n in enumerate(group):
            logits = model.lm_head(hidden[line, -last[n] - 1 : -1])
            found[n] = torch.log_softmax(logits.float(), -1)
    return [found[n] for n in range(len(rows))]


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def tuned(side: Callable[[int], object]) -> Callable[[], object]:
    """The side with the size of batches at which it is fastest."""
    sizes = {size: partial(side, size) for size in BATCHES}
    return min(sizes.values(), key=lambda run: seconds(run)[1])
