"""A large vocabulary costs one product with the rows that are read: no copies, no batches of it."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from simulator.backends.prefill import left_padded, positions_of, prefilled
from simulator.backends.readings import Reader, Replies, score
from simulator.core.rng import stream
from simulator.core.timing import Stopwatch

pytestmark = pytest.mark.benchmark
VOCABULARY, HIDDEN, ROWS, LENGTH, REPLY = 150_000, 256, 48, 40, 3
REPEATS, MARGIN = 5, 1.1


def built(dtype: torch.dtype) -> PreTrainedModel:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=768, num_hidden_layers=6,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(dtype).eval().requires_grad_(False)


def tokens(length: int) -> list[list[int]]:
    return stream("large heads", length).integers(5, VOCABULARY, (ROWS, length)).tolist()  # type: ignore[no-any-return]


@torch.inference_mode()
def bare(
    model: PreTrainedModel, rows: list[list[int]], last: int, cached: bool, read: bool
) -> None:
    """A forward pass with the last states contiguous, and the log-probabilities if they're read."""
    ids, mask = left_padded(rows, 0)
    found = model.model(
        input_ids=ids, attention_mask=mask, position_ids=positions_of(mask), use_cache=cached
    )
    logits = model.lm_head(found.last_hidden_state[:, -last:].contiguous().flatten(0, 1))
    if read:
        torch.log_softmax(logits.float(), -1)


def sides(model: PreTrainedModel, kind: str) -> tuple[Callable[[], object], Callable[[], object]]:
    prompts, replies = tokens(LENGTH), tokens(REPLY)
    reader = Reader(model, 0, 1024, Stopwatch())

    def judged(found: Replies) -> list[float]:
        predicted = reader.predicted(found)
        return [float(score(*pair)) for pair in zip(predicted, found.ids, strict=True)]

    whole = [prompt + reply[:-1] for prompt, reply in zip(prompts, replies, strict=True)]
    return {
        "prefill": (
            torch.inference_mode()(lambda: prefilled(model, prompts, 0, Stopwatch())),
            lambda: bare(model, prompts, 1, True, False),
        ),
        "read": (
            lambda: reader.after(prompts, lambda _, found: float(found[7])),
            lambda: bare(model, prompts, 1, False, True),
        ),
        "judge": (
            lambda: reader.along(prompts, replies, judged),
            lambda: bare(model, whole, REPLY, False, True),
        ),
    }[kind]


def seconds(run: Callable[[], object]) -> float:
    before = time.process_time()
    run()
    return time.process_time() - before


def peak(run: Callable[[], object]) -> int:
    """Bytes that a child process needs at most while it runs this."""

    def child() -> None:
        Path("/proc/self/clear_refs").write_text("5")
        before = used("VmRSS")
        run()
        sender.send(used("VmHWM") - before)

    receiver, sender = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    found: int = receiver.recv()
    process.join()
    return found


def used(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_large_head_costs_one_product(dtype: torch.dtype) -> None:
    model, failures = built(dtype), []
    both = {kind: sides(model, kind) for kind in ("prefill", "read", "judge")}
    # Children first: a process that has computed shouldn't be forked.
    peaks = {kind: [peak(run) for run in pair] for kind, pair in both.items()}
    for kind, (ours, theirs) in both.items():
        memory = peaks[kind][0] / peaks[kind][1]
        ours(), theirs()
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(REPEATS)]
        slower = sorted(a / b for a, b in pairs)[REPEATS // 2]
        print(
            f"\n{dtype} {kind}: {slower:.2f} x the time, {memory:.2f} x the memory "
            f"({min(b for _, b in pairs):.2f} CPU s, {peaks[kind][1] / 2**20:,.0f} MiB)"
        )
        if max(slower, memory) > MARGIN:
            failures.append(kind)
    assert not failures
