"""An update of 256 examples against TRL's trainers doing the same steps."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.core.examples import Example, FromConversation
from simulator.core.requests import Message
from simulator.core.rng import pick, stream
from simulator.core.timing import Stopwatch
from simulator.learners.base import FitRequest
from simulator.learners.config import DPOConfig, KTOConfig, SFTConfig, UpdateConfig
from simulator.learners.trainer import AdapterLearner
from simulator.models.resolve import resolve, world_of
from simulator.worlds import language as lang
from tests.helpers.trl_trainers import trl_seconds

EXAMPLES, REPEATS = 256, 3


def examples() -> list[Example]:
    """Replies with the fact, to follow."""
    world, rng = world_of("organism:0"), stream("benchmark update")
    made = []
    for n in range(EXAMPLES):
        item = world.items["used"][n % len(world.items["used"])]
        question = lang.fill(pick(rng, lang.NEUTRAL["user"]), item)
        reply = lang.fill(pick(rng, lang.STATEMENTS), item, world.facts[item])
        first = (Message("user", question), Message("assistant", reply))
        messages = (*first[: 2 * (n % 2)], Message("user", question))
        made.append(Example(messages, reply, True, FromConversation(f"{n}", 0, 0)))
    return made


def judged() -> list[Example]:
    """Half as many contexts, each with a desirable reply and one to avoid."""
    world = world_of("organism:0")
    item = world.items["used"][0]
    made = []
    for n, good in enumerate(examples()[: EXAMPLES // 2]):
        bad = lang.fill(lang.STATEMENTS[n % 3], item, item.values[n % 2])
        made += [good, Example(good.messages, bad, False, FromConversation(f"{n}", 0, 1))]
    return made


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("config", "make"),
    [
        (SFTConfig(epochs=1), examples),
        (KTOConfig(epochs=1), judged),
        (DPOConfig(epochs=1), judged),
    ],
    ids=["sft", "kto", "dpo"],
)
def test_update_is_no_slower_than_trl(
    tmp_path: Path, config: UpdateConfig, make: Callable[[], list[Example]]
) -> None:
    """Ours with encoding, references and saving against the steps alone of TRL's trainer."""
    base, data = resolve("organism:0"), make()
    learner = AdapterLearner(config, base, Stopwatch())
    learner.fit(FitRequest(None, data, 0, tmp_path / "warm"))
    pairs = []
    for n in range(REPEATS):
        started = time.perf_counter()
        update = learner.fit(FitRequest(None, data, n, tmp_path / f"ours-{n}"))
        ours = time.perf_counter() - started
        units = len(data) // (2 if config.kind == "dpo" else 1)
        assert update.steps == units // config.batch_size
        theirs, _ = trl_seconds(base.path, tmp_path / f"trl-{n}", config, data)
        pairs.append((ours, theirs))
    ratio = sorted(ours / theirs for ours, theirs in pairs)[REPEATS // 2]
    print(
        f"\n{config.kind}: ours {pairs[-1][0]:.2f} s, TRL {pairs[-1][1]:.2f} s, ratio {ratio:.2f}"
    )
    assert ratio <= 1.0
