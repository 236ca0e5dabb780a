"""TRL's trainers, which ours are measured against, doing the same steps."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator.core.examples import Example
from simulator.learners.config import DPOConfig, KTOConfig, LoRAConfig, UpdateConfig

Row = dict[str, Any]


def said(text: str) -> list[Row]:
    return [{"role": "assistant", "content": text}]


def rows_of(kind: str, data: list[Example]) -> Iterator[Row]:
    """The examples in TRL's words."""
    if kind == "dpo":
        for good, bad in zip(data[::2], data[1::2], strict=True):
            yield {"chosen": said(good.reply), "rejected": said(bad.reply),
                   "prompt": [m._asdict() for m in good.messages]}  # fmt: skip
        return
    for example in data:
        row = {"prompt": [m._asdict() for m in example.messages], "completion": said(example.reply)}
        yield row if kind == "sft" else {**row, "label": example.desirable}


def trl_seconds(
    base: str, out: Path, config: UpdateConfig, data: list[Example], dtype: str = "float32"
) -> tuple[float, float]:
    """Returns wall and CPU time of the steps alone; the base is of this type, the adapter fp32."""
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert isinstance(config.adapter, LoRAConfig)
    rows = list(rows_of(config.kind, data))
    own: Row = {"completion_only_loss": True}
    if isinstance(config, KTOConfig | DPOConfig):
        own = {"beta": config.beta, "precompute_ref_log_probs": False}
    name = config.kind.upper()
    settings = getattr(trl, f"{name}Config")(
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
        dataloader_pin_memory=False,
        **own,
    )
    trainer = getattr(trl, f"{name}Trainer")(
        model=AutoModelForCausalLM.from_pretrained(base, dtype=dtype),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(
            r=config.adapter.rank,
            lora_alpha=config.adapter.alpha,
            target_modules=list(config.adapter.modules) or "all-linear",
        ),
    )
    started, used = time.perf_counter(), time.process_time()
    result = trainer.train()
    seconds = time.perf_counter() - started, time.process_time() - used
    assert result.global_step == config.epochs * -(-len(rows) // config.batch_size)
    return seconds
