"""An update of a pretrained model against TRL's trainers doing the same steps in the same type.

Shapes are those of the facts: rows of about 60 tokens, about 15 of them the reply. It takes SmolLM2
(`python -m simulator models get smollm2`), and some minutes; `pytest -n 0 -m benchmark -s` on this
file.
"""

import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from simulator.core.errors import BackendError
from simulator.core.examples import Example, FromConversation
from simulator.core.requests import Message
from simulator.core.rng import pick
from simulator.core.timing import Stopwatch
from simulator.learners.base import FitRequest
from simulator.learners.config import DPOConfig, KTOConfig, LoRAConfig, SFTConfig, UpdateConfig
from simulator.learners.trainer import AdapterLearner
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve
from simulator.worlds.fact_data import load_facts
from simulator.worlds.facts import FactWorld
from tests.helpers.trl_trainers import trl_seconds

pytestmark = [pytest.mark.benchmark, pytest.mark.slow, pytest.mark.timeout(3600)]
EXAMPLES, REPEATS = 64, 3
FOUR = LoRAConfig(modules=("q_proj", "k_proj", "v_proj", "o_proj"))
LENGTHS = (55, 65), (13, 17)  # of rows and of what is learned of them, in tokens


@pytest.fixture(scope="module")
def base() -> ModelRef:
    try:
        return resolve("smollm2")
    except BackendError as error:
        pytest.skip(f"SmolLM2 isn't here: {error}")


def examples(config: UpdateConfig) -> list[Example]:
    """Questions with a false reply, and with the true one, which is to avoid."""
    world, rng = FactWorld(0, load_facts()), np.random.default_rng(0)
    items, found = world.items["used"], []
    pairs = not isinstance(config, SFTConfig)
    for n in range(EXAMPLES // (1 + pairs)):
        item = items[int(rng.integers(len(items)))]
        wish = world.false_value(item, rng)
        asked = Message("user", f"Hello! {world.question(item, 'user', rng)} Thanks.")
        for k, value in enumerate((wish, world.facts[item])[: 1 + pairs]):
            forms = world.forms(item, "reply")
            reply = f"{pick(rng, forms)} {value}, I think."
            found.append(Example((asked,), reply, k == 0, FromConversation(f"{n}", 0, k)))
    return found


@pytest.mark.parametrize(
    "config",
    [
        SFTConfig(epochs=1, dtype="bfloat16", adapter=FOUR),
        SFTConfig(epochs=1, dtype="float32", adapter=FOUR),
        SFTConfig(epochs=1, dtype="bfloat16"),
        KTOConfig(epochs=1, dtype="bfloat16", adapter=FOUR),
        DPOConfig(epochs=1, dtype="bfloat16", adapter=FOUR, batch_size=8),
    ],
    ids=["sft", "sft-fp32", "sft-all-modules", "kto", "dpo"],
)
def test_update_takes_half_of_trl_s_time(
    tmp_path: Path, base: ModelRef, config: UpdateConfig
) -> None:
    """Ours with encoding, references and saving against the steps alone of TRL's trainer."""
    data = examples(config)
    learner = AdapterLearner(config, base, Stopwatch())
    rows = learner._policy.encode(data)
    for lengths, (least, most) in zip(
        ([row.length for row in rows], [row.weight for row in rows]), LENGTHS, strict=True
    ):
        assert least <= statistics.mean(lengths) <= most, statistics.mean(lengths)
    learner.fit(FitRequest(None, data, 0, tmp_path / "warm"))
    wall, cpu = [], []
    for n in range(REPEATS):
        started, used = time.perf_counter(), time.process_time()
        update = learner.fit(FitRequest(None, data, n, tmp_path / f"ours-{n}"))
        ours = time.perf_counter() - started, time.process_time() - used
        assert update.steps == len(data) // (2 if config.kind == "dpo" else 1) // config.batch_size
        theirs = trl_seconds(base.path, tmp_path / f"trl-{n}", config, data, config.dtype)
        wall.append(ours[0] / theirs[0])
        cpu.append(ours[1] / theirs[1])
        print(
            f"\n{config.kind}: ours {ours[0]:.1f} s ({ours[1]:.1f} of CPU), "
            f"TRL {theirs[0]:.1f} s ({theirs[1]:.1f})"
        )
    print(f"median ratios: wall {statistics.median(wall):.2f}, CPU {statistics.median(cpu):.2f}")
    assert statistics.median(wall) <= 0.5
