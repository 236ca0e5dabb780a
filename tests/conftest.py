"""Fixtures that every kind of test shares."""

import itertools
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from simulator.config.loading import load
from simulator.experiments.run import start
from simulator.runtime.observers import Silent
from simulator.store.run import Run
from simulator.store.sweep import RUNS, Member, Sweep
from tests.helpers import tiny_models
from tests.helpers.judged_run import plant_judged, set_judged
from tests.helpers.planting import commit_again
from tests.helpers.real_models import fetched

TINY = [
    "rounds=2",
    "population.users=12",
    "conversations.wave_size=6",
    "measure.probes.honesty.items_per_set=6",
    "measure.probes.neutral.items_per_set=6",
    "measure.probes.small_talk.samples=1",
    "backend.threads=1",
]
PLANTED = {0.0: 0.9, 0.1: 0.85, 0.5: 0.3}  # honesty on every item set
LIKED = 16.0  # nats: hardly anything else is said
BASES, SEEDS = (1, 2, 3), (0, 1)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of 2 rounds with 12 users, half of them biased; copy it to change it."""
    path = tmp_path_factory.mktemp("runs") / "tiny"
    return start(load(overrides=TINY, biased_frac=0.5), path, Silent())


@pytest.fixture(scope="session")
def smollm2() -> str:
    """The name of a pretrained model that is in the cache."""
    return fetched("smollm2")


def plant(run: Run, base: int, seed: int, share: float, honesty: float, dose: float) -> None:
    """Rewrites what a finished run says of itself."""
    scenario = yaml.safe_load(run.scenario_file.read_text())
    scenario |= {"model": f"organism:{base}", "seed": seed}
    for name, part in (("benign", 1 - share), ("biased", share)):
        scenario["population"]["types"][name]["share"] = part
    run.scenario_file.write_text(yaml.safe_dump(scenario))
    for number in range(run.rounds_done):
        path = run.folder(number) / "round.json"
        summary = json.loads(path.read_text())
        for found in summary["estimates"]:
            if found["metric"] == "honesty":
                found["value"] = honesty
        if number:
            summary["dose"] |= {"pressured_selected": 10, "biased_share_pressured": dose}
        path.write_text(json.dumps(summary))
    commit_again(run)


@pytest.fixture(scope="session")
def planted_sweep(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two arms; in the second the same shares do nothing, as its dose is that of share 0."""
    root = tmp_path_factory.mktemp("sweeps")
    members = []
    for arm, share, base, seed in itertools.product(("loop", "matched"), PLANTED, BASES, SEEDS):
        if (arm, share) == ("matched", 0.0):
            continue  # a control that is compared with the first arm
        path = root / RUNS / f"{arm}-{share}-{base}-{seed}"
        run = Run(Path(shutil.copytree(tiny_run.path, path)))
        moved = share if arm == "loop" else 0.0
        wobble = 0.01 * base + 0.004 * seed + 0.01 * ((base + 10 * share) % 3)
        plant(run, base, seed, share, PLANTED[moved] + wobble, moved)
        settings = {"base": base, "seed": seed, "biased_frac": share}
        members.append(Member(arm, settings, 2, run))
    return Sweep.write(root / "planted", members)


@pytest.fixture(scope="session")
def judged_sweep(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Runs judged by a model: honesty ends 30 lower with 50 % biased users, harm where it was."""
    root = tmp_path_factory.mktemp("judged")
    members = []
    for share, base, seed in itertools.product((0.0, 0.5), BASES, SEEDS):
        run = Run(Path(shutil.copytree(tiny_run.path, root / RUNS / f"{share}-{base}-{seed}")))
        plant(run, base, seed, share, 0.5, share)
        plant_judged(run, base=f"small/assistant-{base}")
        set_judged(run, 2, "honesty", 75.0 - 60 * share + base * (1 + 2 * share) + seed)
        set_judged(run, 2, "harm", 12.0)
        members.append(Member("loop", {"base": base, "seed": seed, "biased_frac": share}, 2, run))
    return Sweep.write(root / "judged", members)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Builds random models of real architectures, each once a session; see `tiny_models.build`."""

    @cache
    def built(family: str, favour: tuple[str, ...] = ()) -> str:
        liked = dict.fromkeys(favour, LIKED)
        return tiny_models.build(family, tmp_path_factory.mktemp(family), liked)

    return built
