"""An update of 256 examples against TRL's SFTTrainer doing the same steps."""

import time
from pathlib import Path

import pytest

from simulator import models
from simulator.learners.base import SFTConfig
from simulator.learners.sft import SFTLearner
from simulator.organism import language as lang
from simulator.randomness import stream
from simulator.stopwatch import Stopwatch
from simulator.types import Example, Message

EXAMPLES, REPEATS = 256, 3


def examples() -> list[Example]:
    world, rng = models.world_of("organism:0"), stream("benchmark update")
    made = []
    for n in range(EXAMPLES):
        item = world.items["used"][n % len(world.items["used"])]
        question = lang.fill(lang.pick(rng, lang.USER.neutral), item)
        reply = lang.fill(lang.pick(rng, lang.STATEMENTS), item, world.facts[item])
        first = (Message("user", question), Message("assistant", reply))
        messages = (*first[: 2 * (n % 2)], Message("user", question))
        made.append(Example(messages, reply, True, str(n)))
    return made


def trl_seconds(base: str, out: Path, config: SFTConfig) -> float:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig as TRLConfig
    from trl import SFTTrainer

    rows = [
        {
            "prompt": [m._asdict() for m in example.messages],
            "completion": [{"role": "assistant", "content": example.reply}],
        }
        for example in examples()
    ]
    settings = TRLConfig(
        output_dir=str(out),
        per_device_train_batch_size=config.batch_size,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant",
        max_grad_norm=config.clip,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        completion_only_loss=True,
        dataloader_pin_memory=False,
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base, dtype="float32"),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules="all-linear"),
    )
    started = time.perf_counter()
    result = trainer.train()
    seconds = time.perf_counter() - started
    assert result.global_step == config.epochs * EXAMPLES // config.batch_size
    return seconds


@pytest.mark.slow
def test_update_is_no_slower_than_trl(tmp_path: Path) -> None:
    base, config = models.resolve("organism:0"), SFTConfig(epochs=1)
    learner = SFTLearner(config, base, Stopwatch())
    data = examples()
    learner.fit(None, data, 0, tmp_path / "warm")
    pairs = []
    for n in range(REPEATS):
        started = time.perf_counter()
        update = learner.fit(None, data, n, tmp_path / f"ours-{n}")
        ours = time.perf_counter() - started
        assert update.steps == EXAMPLES // config.batch_size
        pairs.append((ours, trl_seconds(base, tmp_path / f"trl-{n}", config)))
    ratio = sorted(ours / theirs for ours, theirs in pairs)[REPEATS // 2]
    print(f"\nours {pairs[-1][0]:.2f} s, TRL {pairs[-1][1]:.2f} s, ratio {ratio:.2f}")
    assert ratio <= 1.0
