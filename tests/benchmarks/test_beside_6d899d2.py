"""The main command beside that of 6d899d2, in one run: the same bytes, no slower, a lighter start.

It takes the project's history, and four minutes; `pytest -n 0 -m benchmark -s` on this file.
"""

import statistics
import time
from pathlib import Path

import pytest

from tests.helpers.earlier_checkout import ROOT, called, checkout_of

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
SMALL = (
    "rounds=2",
    "population.users=24",
    "measure.probes.honesty.items_per_set=6",
    "measure.probes.neutral.items_per_set=6",
    "measure.probes.small_talk.samples=1",
    "backend.threads=1",
)
LEARNERS = (
    "learner={kind: sft}",
    "learner={kind: kto}",
    "learner={kind: dpo}",
)
# Runs a command until the model is asked for the first time, and prints the CPU time until then.
FIRST_REQUEST = """
import importlib.abc, importlib.machinery, os, sys, time
NAME = "simulator.backends.transformers"

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            def asked(*args, **kwargs):
                print(time.process_time(), file=sys.stderr, flush=True)
                os._exit(0)
            for method in ("generate", "next_token_logprobs", "score_continuations"):
                setattr(module.TransformersBackend, method, asked)
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Watch())
from simulator.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it was at 6d899d2."""
    return checkout_of("6d899d2", tmp_path_factory.mktemp("6d899d2"))


@pytest.mark.parametrize("learner", LEARNERS)
def test_adapters_have_the_same_bytes(before: Path, tmp_path: Path, learner: str) -> None:
    selection = "selection={kind: top_bottom, top: 0.25, bottom: 0.25}"
    selection = "selection={kind: best_worst}" if "dpo" in learner else selection
    sets = [word for one in (*SMALL, learner, selection) for word in ("--set", one)]
    for name, checkout in (("then", before), ("now", ROOT)):
        out = ("--out", str(tmp_path / name))
        called(checkout, "-m", "simulator", "run", "--biased-frac", "0.5", *sets, *out)
    then = sorted((tmp_path / "then").rglob("*.safetensors"))
    assert len(then) == 4  # an adapter and an optimiser's state in each of two rounds
    for path in then:
        now = tmp_path / "now" / path.relative_to(tmp_path / "then")
        assert now.read_bytes() == path.read_bytes(), path.name


def test_the_quickstart_is_no_slower(before: Path, tmp_path: Path) -> None:
    ratios = []
    for turn in range(3):
        seconds = {}
        for name, checkout in (("then", before), ("now", ROOT)):
            started = time.perf_counter()
            out = ("--out", str(tmp_path / f"{name}-{turn}"))
            called(checkout, "-m", "simulator", "run", "--biased-frac", "0.1", *out)
            seconds[name] = time.perf_counter() - started
        ratios.append(seconds["now"] / seconds["then"])
    print(f"\nwall time against 6d899d2: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    assert statistics.median(ratios) <= 1.05


def test_the_first_request_comes_early(before: Path, tmp_path: Path) -> None:
    ratios = []
    for turn in range(5):
        cpu = {}
        for name, checkout in (("then", before), ("now", ROOT)):
            words = ("run", "--biased-frac", "0.1", "--out", str(tmp_path / f"{name}-{turn}"))
            cpu[name] = float(called(checkout, "-c", FIRST_REQUEST, *words).stderr.split()[-1])
        ratios.append(cpu["now"] / cpu["then"])
    print(f"\nCPU until the first request: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    # The goal is .6, which the README's first environment reaches: .59. Here scikit-learn, which
    # lm-eval brings and transformers imports, weighs on both: .66.
    assert statistics.median(ratios) <= 0.7
