"""The default run on a pretrained model: its time, its memory, and the same work done plainly.

It takes SmolLM2 (`python -m simulator models get smollm2`) and half an hour on two free cores;
`pytest -n 0 -m benchmark -s` on this file.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from simulator.backends.transformers import TransformersBackend
from simulator.config.loading import load
from simulator.core.adapters import Adapter
from simulator.core.requests import ContinuationRequest, GenerationRequest, NextTokenRequest
from simulator.experiments.run import start
from simulator.learners.base import FitRequest
from simulator.learners.trainer import AdapterLearner
from simulator.models.chat_template import encoder_of
from simulator.models.pretrained import load_causal_lm
from simulator.models.resolve import resolve
from simulator.runtime.observers import Silent
from simulator.store.run import Run
from tests.helpers.commands import command
from tests.helpers.plain_model import generate_plainly, read_plainly
from tests.helpers.trl_trainers import trl_seconds

pytestmark = [pytest.mark.benchmark, pytest.mark.slow, pytest.mark.timeout(7200)]
ROWS = 64  # of a plain batch, which is the fastest of those tried on these prompts
Did = tuple[str, Any]  # what was asked of the model, and with what


def memory_of(process: subprocess.Popen[bytes]) -> int:
    """The memory that a process holds, in bytes; a page that is mapped twice counts once."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def test_it_takes_minutes_and_little_memory(tmp_path: Path, smollm2: str) -> None:
    words = ["run", "--scenario", "facts", "--biased-frac", "0.1", "--model", smollm2]
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command(*words, "--out", str(tmp_path / "run"))) as process:
        while process.poll() is None:
            peak = max(peak, memory_of(process))
            time.sleep(0.2)
    minutes = (time.perf_counter() - started) / 60
    assert process.returncode == 0
    run = Run.open(tmp_path / "run")
    timings = [run.timing(n) for n in range(run.rounds_done)]
    spent = {key: sum(t.get(key, 0.0) for t in timings) for key in ("wall", "model", "learner")}
    loading = sum(t.get("start", 0.0) for t in timings)
    outside = 1 - (spent["model"] + spent["learner"]) / (spent["wall"] - loading)
    weights = (Path(resolve(smollm2).path) / "model.safetensors").stat().st_size
    print(
        f"\n{minutes:.1f} minutes, {peak / 1e9:.2f} GB (target {(3 * weights + 1.5e9) / 1e9:.2f}), "
        f"outside the model {outside:.1%}"
    )
    assert minutes <= 12
    assert peak <= 3 * weights + 1.5e9
    assert outside <= 0.05


@contextmanager
def recording(monkeypatch: pytest.MonkeyPatch, into: list[Did]) -> Iterator[None]:
    """Keeps what is asked of engine and learner, in order."""

    def kept(owner: type, name: str, record: Callable[[Any, Any], Did]) -> None:
        real = getattr(owner, name)

        def method(self: Any, given: Any) -> Any:
            into.append(record(self, given))
            return real(self, given)

        monkeypatch.setattr(owner, name, method)

    with monkeypatch.context() as monkeypatch:
        for name in ("generate", "score_continuations", "next_token_logprobs", "load"):
            kept(TransformersBackend, name, lambda _, given, name=name: (name, given))  # type: ignore[misc]
        kept(AdapterLearner, "fit", lambda learner, request: ("fit", (learner._config, request)))
        for name in ("top_tokens", "divergences", "activations"):
            kept(TransformersBackend, name, lambda *_: pytest.fail("the plain side lacks it"))
        yield


class Plainly:
    """Does the same with transformers, peft and TRL as they come, in batches of equal lengths."""

    def __init__(self, model: str, folder: Path) -> None:
        self._ref, self._folder = resolve(model), folder
        self._encoder = encoder_of(self._ref)
        self._model = self._loaded()

    def _loaded(self) -> PreTrainedModel:
        return load_causal_lm(self._ref, dtype=torch.bfloat16).eval().requires_grad_(False)

    def generate(self, requests: Sequence[GenerationRequest]) -> None:
        prompts = self._encoder.encode([request.prompt for request in requests])
        for samples, tokens in {(len(r.keys), r.max_new_tokens) for r in requests}:
            rows = sorted(
                (
                    prompt.ids
                    for prompt, r in zip(prompts, requests, strict=True)
                    if (len(r.keys), r.max_new_tokens) == (samples, tokens)
                ),
                key=len,
            )
            size = max(ROWS // samples, 1)
            for first in range(0, len(rows), size):
                generate_plainly(
                    self._model, rows[first : first + size],
                    max_new_tokens=tokens, num_return_sequences=samples,
                )  # fmt: skip

    def score_continuations(self, requests: Sequence[ContinuationRequest]) -> None:
        prompts = [request.prompt for request in requests]
        replies = self._encoder.encode_replies([r.continuation for r in requests], prompts)
        before = [encoded.ids for encoded in self._encoder.encode(prompts)]
        rows = [context + reply for context, reply in zip(before, replies, strict=True)]
        read_plainly(self._model, rows, [len(reply) for reply in replies], ROWS)

    def next_token_logprobs(self, requests: Sequence[NextTokenRequest]) -> None:
        rows = [[*e.ids, 0] for e in self._encoder.encode([r.prompt for r in requests])]
        read_plainly(self._model, rows, [1] * len(rows), ROWS)

    def load(self, adapter: Adapter | None) -> None:
        self._model = self._loaded()
        if adapter is not None:
            with_adapter = PeftModel.from_pretrained(self._model, str(adapter.path))
            self._model = with_adapter.merge_and_unload()

    def fit(self, given: tuple[Any, FitRequest]) -> float:
        """Returns the seconds of the steps alone."""
        config, request = given
        out = self._folder / f"trl-{request.seed}"
        examples = list(request.examples)
        return trl_seconds(self._ref.path, out, config, examples, "bfloat16")[0]


def test_it_takes_half_of_the_time_of_the_same_work_done_plainly(
    tmp_path: Path, smollm2: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One round of conversations in the default's sizes; all that ours does counts, loading too."""
    did: list[Did] = []
    scenario = load("facts", biased_frac=0.1, overrides=[f"model={smollm2}", "rounds=1"])
    with recording(monkeypatch, did):
        started = time.perf_counter()
        start(scenario, tmp_path / "run", Silent())
        ours = time.perf_counter() - started
    plainly = Plainly(smollm2, tmp_path)
    theirs: dict[str, float] = {}
    for what, given in did:
        started = time.perf_counter()
        steps = getattr(plainly, what)(given)
        took = steps if what == "fit" else time.perf_counter() - started
        theirs[what] = theirs.get(what, 0.0) + took
    total = sum(theirs.values())
    parts = ", ".join(f"{what} {took:.0f}" for what, took in theirs.items())
    print(f"\nours {ours:.0f} s, plainly {total:.0f} s ({parts}): {ours / total:.2f}")
    assert ours <= 0.5 * total
