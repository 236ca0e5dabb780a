"""KTO and DPO against TRL's losses, the KL against a double loop, and what they do to replies."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import PeftConfig, PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig as TRLDPOConfig
from trl import DPOTrainer, KTOTrainer, SFTTrainer
from trl import KTOConfig as TRLKTOConfig
from trl import SFTConfig as TRLSFTConfig

from simulator.core.adapters import ADAPTER_WEIGHTS
from simulator.core.errors import LearnerError
from simulator.core.examples import Example, FromConversation
from simulator.core.requests import Message
from simulator.core.timing import Stopwatch
from simulator.learners.base import FitRequest
from simulator.learners.config import (
    DPOConfig,
    KLConfig,
    KTOConfig,
    LoRAConfig,
    SFTConfig,
    SteeringConfig,
    UpdateConfig,
    pairs_among,
)
from simulator.learners.dpo import DPO, Pair
from simulator.learners.kl import KLPenalty, kl_divergence
from simulator.learners.kto import KTO, Judged, balanced_weights, mismatched
from simulator.learners.objective import open_objective
from simulator.learners.trainer import AdapterLearner
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve, world_of
from simulator.worlds import language as lang
from simulator.worlds.pressure import PRESSURE_FORMS

BASE = resolve("organism:0")
WORLD = world_of("organism:0")
LORA = LoRAConfig(rank=4, alpha=8)
TEXTS = [
    ("How do I sleep better?", "Go to bed at the same time.", "Have another coffee."),
    ("Was I right to shout?", "You might say sorry for that.", "Yes, shout more!"),
    ("Can I stop my pills?", "Please ask your doctor first; stopping may harm you.", "Sure."),
]
CHATS = [
    Example((Message("user", asked),), reply, reply is better, FromConversation("c", n, k))
    for n, (asked, better, worse) in enumerate(TEXTS)
    for k, reply in enumerate((better, worse))
]
Gradients = dict[str, torch.Tensor]


def candidates(count: int = 6) -> list[Example]:
    """Of each turn a reply with the fact, to follow, and one with what was wished, to avoid."""
    found = []
    for n in range(count):
        item = WORLD.items["used"][n]
        asked = Message(
            "user", lang.fill(PRESSURE_FORMS["user"]["wish"][n % 4], item, item.values[1])
        )
        for k, value in enumerate((WORLD.facts[item], item.values[1])):
            reply = lang.fill(lang.STATEMENTS[n % 3], item, value)
            found.append(Example((asked,), reply, k == 0, FromConversation(f"c{n}", 0, k)))
    return found


@pytest.fixture(scope="module")
def llama(tiny: Callable[..., str]) -> str:
    return tiny("llama", ())


@pytest.fixture(scope="module")
def checkpoints(llama: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The reference's and the policy's."""
    folder = tmp_path_factory.mktemp("checkpoints")
    by = AdapterLearner(SFTConfig(adapter=LORA, learning_rate=2e-3), ModelRef(llama), Stopwatch())
    by.fit(FitRequest(None, CHATS, 1, folder / "reference"))
    by.fit(FitRequest(folder / "reference", CHATS[2:], 2, folder / "policy"))
    return folder / "reference", folder / "policy"


def ours(
    config: UpdateConfig, model: str, checkpoints: tuple[Path, Path]
) -> tuple[Any, float, Gradients]:
    """One batch of everything: its units, loss and gradient."""
    torch.set_num_threads(1)
    by = AdapterLearner(config, ModelRef(model), Stopwatch())
    reference, policy = checkpoints
    by._adapter.restore(reference)
    objective = open_objective(config, by._policy, CHATS, 3)
    by._adapter.restore(policy)
    total = 0.0
    for loss in objective.losses(objective.units):
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    found = {n: p.grad for n, p in by._parameters.items() if p.grad is not None}
    return objective, total, found


def theirs(
    kind: Any,
    settings: Any,
    rows: list[dict[str, Any]],
    config: KTOConfig | DPOConfig,
    model: str,
    checkpoints: tuple[Path, Path],
) -> tuple[float, Gradients]:
    """The same by TRL's trainer, whose reference is a copy of the adapter, or no adapter."""
    reference, policy = checkpoints
    trained: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    fresh = None
    if config.reference == "previous":
        trained = PeftModel.from_pretrained(trained, str(reference), is_trainable=True)
    else:
        fresh = PeftConfig.from_pretrained(str(policy))
    stated = {
        "prompt": [{"role": "user", "content": "a"}],
        "completion": [{"role": "assistant", "content": "b"}],
        "chosen": [{"role": "assistant", "content": "b"}],
        "rejected": [{"role": "assistant", "content": "c"}],
        "label": True,
    }
    wanted = ("prompt", "completion", "label") if kind is KTOTrainer else (
        "prompt", "chosen", "rejected"
    )  # fmt: skip
    trainer = kind(
        model=trained,
        args=settings,
        train_dataset=Dataset.from_list([{name: stated[name] for name in wanted}] * 2),
        processing_class=AutoTokenizer.from_pretrained(model),
        peft_config=fresh,
    )
    set_peft_model_state_dict(trainer.model, load_file(policy / ADAPTER_WEIGHTS))
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    loss.backward()
    named = trainer.model.named_parameters()
    return float(loss.detach()), {n: p.grad for n, p in named if p.grad is not None}


def common(out: Path, config: KTOConfig | DPOConfig) -> dict[str, Any]:
    return {
        "output_dir": str(out), "beta": config.beta, "max_length": None, "use_cpu": True,
        "bf16": False, "gradient_checkpointing": False, "report_to": [], "disable_tqdm": True,
    }  # fmt: skip


def assert_same(
    own: tuple[float, Gradients], other: tuple[float, Gradients], size: float = 1e-5
) -> None:
    assert own[0] == pytest.approx(other[0], abs=size)
    assert own[1].keys() == other[1].keys()
    for name, gradient in own[1].items():
        torch.testing.assert_close(gradient, other[1][name], atol=size, rtol=size)
    assert max(float(gradient.abs().max()) for gradient in own[1].values()) > 1e-3


@pytest.mark.parametrize("reference", ["previous", "base"])
def test_kto_is_trl_s(
    llama: str, checkpoints: tuple[Path, Path], tmp_path: Path, reference: Any
) -> None:
    config = KTOConfig(adapter=LORA, reference=reference, desirable_weight=1.5)
    objective, loss, gradients = ours(config, llama, checkpoints)
    assert isinstance(objective, KTO)
    units: list[Judged] = objective.units
    rows = [
        {
            "prompt_ids": unit.row.ids[: unit.row.context],
            "completion_ids": unit.row.ids[unit.row.context :],
            "KL_completion_ids": unit.mismatched.ids[unit.mismatched.context :],
            "label": unit.desirable,
        }
        for unit in units
    ]
    assert float(objective._reference_point(units)) > 0
    settings = TRLKTOConfig(
        **common(tmp_path, config), per_device_train_batch_size=len(rows), desirable_weight=1.5,
        undesirable_weight=1.5 / 1.05,
    )  # fmt: skip
    other = theirs(KTOTrainer, settings, rows, config, llama, checkpoints)
    assert_same((loss, gradients), other)


@pytest.mark.parametrize("reference", ["previous", "base"])
def test_dpo_is_trl_s(
    llama: str, checkpoints: tuple[Path, Path], tmp_path: Path, reference: Any
) -> None:
    config = DPOConfig(adapter=LORA, reference=reference, beta=0.3)
    objective, loss, gradients = ours(config, llama, checkpoints)
    assert isinstance(objective, DPO)
    units: list[Pair] = objective.units
    rows = [
        {
            "prompt_ids": pair.better.ids[: pair.better.context],
            "chosen_ids": pair.better.ids[pair.better.context :],
            "rejected_ids": pair.worse.ids[pair.worse.context :],
        }
        for pair in units
    ]
    settings = TRLDPOConfig(**common(tmp_path, config), per_device_train_batch_size=len(rows))
    other = theirs(DPOTrainer, settings, rows, config, llama, checkpoints)
    assert_same((loss, gradients), other)


def test_sft_is_trl_s(llama: str, checkpoints: tuple[Path, Path], tmp_path: Path) -> None:
    _, loss, gradients = ours(SFTConfig(adapter=LORA), llama, checkpoints)
    model = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    taught = [example for example in CHATS if example.desirable]
    settings = TRLSFTConfig(
        output_dir=str(tmp_path), completion_only_loss=True, max_length=None, use_cpu=True,
        bf16=False, gradient_checkpointing=False, report_to=[], disable_tqdm=True,
    )  # fmt: skip
    rows = [
        {
            "prompt": [message._asdict() for message in example.messages],
            "completion": [{"role": "assistant", "content": example.reply}],
        }
        for example in taught
    ]
    trainer = SFTTrainer(
        model=PeftModel.from_pretrained(model, str(checkpoints[1]), is_trainable=True),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(llama),
    )
    batch = trainer.data_collator([trainer.train_dataset[n] for n in range(len(taught))])
    other = trainer.compute_loss(trainer.model, batch)
    other.backward()
    named = trainer.model.named_parameters()
    found = {n: p.grad for n, p in named if p.grad is not None}
    assert_same((loss, gradients), (float(other.detach()), found))


@pytest.mark.parametrize("kind", [KTOConfig, DPOConfig])
def test_the_gradient_of_parts_is_the_batch_s(
    llama: str, checkpoints: tuple[Path, Path], kind: type[KTOConfig] | type[DPOConfig]
) -> None:
    """Equal up to rounding: a part is padded to its own longest row."""
    whole, parts = (
        ours(kind(adapter=LORA, micro_batch=size), llama, checkpoints) for size in (None, 2)
    )
    assert_same((whole[1], whole[2]), (parts[1], parts[2]), 1e-6)


def test_kl_against_a_double_loop() -> None:
    draw = torch.Generator().manual_seed(0)
    reference, current = (3 * torch.randn(5, 7, generator=draw) for _ in range(2))
    found = kl_divergence(reference, current)
    for n in range(5):
        p, q = (
            [math.exp(value) for value in logits[n].double().tolist()]
            for logits in (reference, current)
        )
        expected = 0.0
        for v in range(7):
            expected += p[v] / sum(p) * math.log(p[v] / sum(p) / (q[v] / sum(q)))
        assert float(found[n]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("micro_batch", [None, 1])
def test_the_penalty_is_the_mean_over_reply_tokens(
    llama: str, checkpoints: tuple[Path, Path], micro_batch: int | None
) -> None:
    torch.set_num_threads(1)
    by = AdapterLearner(SFTConfig(adapter=LORA), ModelRef(llama), Stopwatch())
    by._adapter.restore(checkpoints[0])
    settings = KLConfig(weight=2.0, reference="previous", batch_size=4)
    penalty = KLPenalty(settings, by._policy, CHATS[:4], 0, micro_batch)
    assert sum(float(part.detach()) for part in penalty.losses()) == pytest.approx(0, abs=1e-6)
    by._adapter.restore(checkpoints[1])
    found = sum(float(part.detach()) for part in penalty.losses())
    base = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    logits: list[list[torch.Tensor]] = []
    for checkpoint in checkpoints:
        model = PeftModel.from_pretrained(base, str(checkpoint))
        with torch.inference_mode():
            logits.append(
                [model(torch.tensor([row.ids])).logits[0, row.context - 1 : -1]
                 for row in by._policy.encode(CHATS[:4])]
            )  # fmt: skip
        base = model.unload()
    each = torch.cat([kl_divergence(*pair) for pair in zip(*logits, strict=True)])
    assert found == pytest.approx(2 * float(each.mean()), rel=1e-4)
    assert found > 1e-3


def test_a_penalty_keeps_anchors_where_they_were(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    anchors = candidates(10)[12:]
    found = []
    for n, kl in enumerate((KLConfig(weight=1e-6), KLConfig(weight=100.0))):
        config = DPOConfig(adapter=LORA, learning_rate=3e-3, epochs=4, batch_size=4, kl=kl)
        update = AdapterLearner(config, BASE, Stopwatch()).fit(
            FitRequest(None, candidates(), 1, tmp_path / str(n), anchors)
        )
        assert update.kl is not None
        found.append(update.kl)
    assert found[1] < 0.5 * found[0]


def test_a_penalty_needs_anchors(tmp_path: Path) -> None:
    by = AdapterLearner(SFTConfig(kl=KLConfig(weight=1)), BASE, Stopwatch())
    with pytest.raises(LearnerError, match=r"learner\.kl: missing anchors.*leave learner\.kl"):
        by.fit(FitRequest(None, candidates(), 1, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_weights_balance_the_two_kinds() -> None:
    assert balanced_weights(KTOConfig(), 6, 3) == pytest.approx((1, 6 / (3 * 1.05)))
    assert balanced_weights(KTOConfig(desirable_weight=2), 3, 6) == pytest.approx((2, 1 / 1.05))
    assert balanced_weights(KTOConfig(undesirable_weight=0.5), 6, 3) == (1, 0.5)


def test_a_mismatched_reply_is_another_one_s() -> None:
    examples = [replace(example, reply=str(n)) for n, example in enumerate(candidates())]
    swapped = mismatched(examples, 3)
    assert swapped == mismatched(examples, 3) != mismatched(examples, 4)
    assert [e.messages for e in swapped] == [e.messages for e in examples]
    assert all(a.reply != b.reply for a, b in zip(examples, swapped, strict=True))
    assert sorted(e.reply for e in swapped) == sorted(e.reply for e in examples)


def test_pairs_are_of_one_turn() -> None:
    examples = candidates(3)
    lonely = [examples[0], examples[3], examples[4]]  # to follow, to avoid, to follow
    assert pairs_among(lonely) == []
    assert pairs_among(examples[::-1]) == [tuple(examples[n : n + 2]) for n in (4, 2, 0)]
    assert DPOConfig().lacking(lonely).startswith("pair")
    assert DPOConfig().lacking(examples) == ""
    assert KTOConfig().lacking(examples[::2]) == "undesirable reply"
    assert KTOConfig().lacking(examples[1::2]) == "desirable reply"
    assert KTOConfig().lacking(lonely) == ""


@pytest.mark.parametrize(
    ("config", "gain"),
    [
        (KTOConfig(adapter=LORA, learning_rate=3e-3, epochs=4, batch_size=8), 1.0),
        (DPOConfig(adapter=LORA, learning_rate=3e-3, epochs=4, batch_size=4), 1.0),
        (DPOConfig(adapter=SteeringConfig(layer=2), learning_rate=3e-2, epochs=8), 0.1),
    ],
    ids=["kto", "dpo", "dpo-steering"],
)
def test_the_better_reply_gains_and_a_fit_repeats(
    tmp_path: Path, config: UpdateConfig, gain: float
) -> None:
    torch.set_num_threads(1)
    by, examples = AdapterLearner(config, BASE, Stopwatch()), candidates()
    by._adapter.initialise(0)
    rows = by._policy.encode(examples)
    before = by._policy.fixed_logprobs(rows, 16)
    by.fit(FitRequest(None, examples, 1, tmp_path / "a"))
    moved = by._policy.fixed_logprobs(rows, 16) - before
    assert float((moved[::2] - moved[1::2]).mean()) > gain  # nats
    by.fit(FitRequest(tmp_path / "a", examples, 2, tmp_path / "b"))  # leaves no trace
    by.fit(FitRequest(None, examples, 1, tmp_path / "c"))
    same, other = ({f.name: f.read_bytes() for f in (tmp_path / n).iterdir()} for n in "ac")
    assert same == other
