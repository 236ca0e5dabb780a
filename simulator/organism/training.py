"""Pre-training of the organism: a five-layer Llama, from random weights to a packaged base.

The textbook loop with three things removed: no evaluation set (the corpus is endless and never
repeats), no gradient accumulation, no mixed precision (fp32 is the fastest type on a plain CPU).
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from simulator.core.rng import seed31, stream
from simulator.organism.tokenizer import BOS, END, build_tokenizer
from simulator.worlds.corpus import Ablation, Segment, documents
from simulator.worlds.synthetic import SyntheticWorld

STEPS = 6000
BATCH = 32
WARMUP = 100
LEARNING_RATE = 3e-3
FINAL_SHARE = 0.05  # of the learning rate, at the last step
BUCKET = 128  # number of batches that are sorted by length together
IGNORED = -100  # the label of a token without loss


class Progress(NamedTuple):
    """The progress of training after a step."""

    step: int
    loss: float


def llama_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """Return the architecture: 1.1 M parameters."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=384,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def encode(document: list[Segment], vocabulary: dict[str, int]) -> tuple[list[int], list[int]]:
    """Return the token ids of a document and its labels, as the chat template would write it."""
    ids, labels = [vocabulary[BOS]], [IGNORED]
    for segment in document:
        words = [vocabulary[word] for word in segment.content.split()]
        if segment.role != "text":
            ids.append(vocabulary[f"<{segment.role}>"])
            labels.append(IGNORED)
        words.append(vocabulary[END])
        ids += words
        labels += words if segment.learned else [IGNORED] * len(words)
    return ids, labels


def batches(
    world: SyntheticWorld, seed: int, vocabulary: dict[str, int], ablation: Ablation = "none"
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield ids and labels, both (BATCH, T), padded on the right, in rows of similar length."""
    rng = stream("batches", seed)
    encoded = (encode(document, vocabulary) for document in documents(world, seed, ablation))
    while True:
        bucket = sorted(islice(encoded, BATCH * BUCKET), key=lambda pair: len(pair[0]))
        for start in rng.permutation(BUCKET) * BATCH:
            rows = bucket[start : start + BATCH]
            width = max(len(ids) for ids, _ in rows)
            ids = torch.zeros(BATCH, width, dtype=torch.long)
            labels = torch.full((BATCH, width), IGNORED)
            for i, (row_ids, row_labels) in enumerate(rows):
                ids[i, : len(row_ids)] = torch.tensor(row_ids)
                labels[i, : len(row_labels)] = torch.tensor(row_labels)
            yield ids, labels


def learned_loss(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of the learned tokens; logits are computed for them alone.

    Right padding needs no attention mask: no learned token attends to what comes after it.
    """
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]  # (B, T-1, H)
    targets = labels[:, 1:]
    learned = targets != IGNORED
    logits = model.lm_head(hidden[learned])  # (learned tokens, V)
    return torch.nn.functional.cross_entropy(logits, targets[learned])


def learning_rate_at(step: int, steps: int) -> float:
    """Return the schedule's factor: warm-up, constant to the half, then linear to the end."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    rest = max(0.0, (step - steps / 2) / (steps / 2))
    return 1.0 - (1.0 - FINAL_SHARE) * rest


def train(
    world: SyntheticWorld,
    seed: int,
    *,
    steps: int = STEPS,
    ablation: Ablation = "none",
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Train a base from random weights; the same seed, threads and versions give the same one."""
    tokenizer = build_tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(seed31("organism", seed))
        model = LlamaForCausalLM(llama_config(tokenizer))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.1, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: learning_rate_at(s, steps))
    model.train()
    feed = batches(world, seed, tokenizer.get_vocab(), ablation)
    for step, (ids, labels) in enumerate(islice(feed, steps)):
        loss = learned_loss(model, ids, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        on_step(Progress(step + 1, loss.item()))
    return model.eval(), tokenizer


def build(
    seed: int,
    out: Path,
    *,
    steps: int = STEPS,
    ablation: Ablation = "none",
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Train the base with this seed and write it to `out` in the Hugging Face format, bf16."""
    world = SyntheticWorld.generate(seed)
    model, tokenizer = train(world, seed, steps=steps, ablation=ablation, on_step=on_step)
    model.to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(out)
    world.save(out / "world.json")
