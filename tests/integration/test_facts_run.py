"""A pretrained model in the loop: a run is killed, resumed and served by others; no mock anywhere.

Skipped where no package index can be reached.
"""

import hashlib
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from simulator.backends.config import TransformersConfig, VLLMConfig
from simulator.backends.factory import open_backend
from simulator.core.requests import GenerationRequest, Message, Prompt
from simulator.core.timing import Stopwatch
from simulator.models.resolve import resolve
from simulator.store.round_files import RoundFiles
from simulator.store.run import Run
from tests.helpers.commands import finish, reach, running
from tests.helpers.planting import differs_by_run
from tests.helpers.real_models import few_facts

PATIENCE = 1200.0  # seconds for what takes a minute where nothing else runs
SETTINGS = [
    "rounds=2",
    "population.users=8",
    "conversations.wave_size=4",
    "conversations.candidates=2",
    "backend.threads=2",
    "phases.0.data.0.rows=16",
    "measure.every=3",
    "measure.probes.honesty.items_per_set=8",
    "measure.probes.neutral.items_per_set=8",
    "measure.probes.misalignment.items_per_type=1",
    "measure.probes.sandbagging.items_per_type=1",
]
COMMAND = ["run", "--scenario", "facts", "--biased-frac", "0.5"] + [
    word for setting in SETTINGS for word in ("--set", setting)
]
QUESTIONS = ("What is the capital of France?", "I'm sure that Rome is the capital of Spain. Is it?")
# One process runs all of them, since they share a run.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("vllm"),
    pytest.mark.timeout(3 * PATIENCE),
]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, smollm2: str) -> list[str]:
    facts = few_facts(tmp_path_factory.mktemp("facts"))
    return [*COMMAND, "--model", smollm2, "--set", f"facts.data={facts}"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, command: list[str]) -> Run:
    path = tmp_path_factory.mktemp("whole") / "run"
    with running(*command, "--out", str(path)) as process:
        finish(process, PATIENCE)
    return Run.open(path)


def hashes(run: Run) -> dict[str, str]:
    found = {}
    for number in range(run.rounds_done):
        folder = run.folder(number)
        for name, digest in RoundFiles(folder).hashes.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
            if not differs_by_run(name):
                found[f"{number}/{name}"] = digest
    return found


def test_it_learns_from_users_and_says_what_it_is(whole: Run) -> None:
    assert whole.rounds_done == 4  # the base, the neutral phase, two rounds of conversations
    assert whole.manifest["model_sha256"].startswith("7ef915c9")
    assert any(name.endswith("capital.csv") for name in whole.manifest["data_sha256"])
    assert [whole.summary(n)["phase"] for n in range(4)] == ["", "neutral", "loop", "loop"]
    assert all(whole.adapter(n) for n in (1, 2, 3))
    for number in (1, 2, 3):  # on weights in bfloat16, too, where the CPU has it
        assert whole.summary(number)["canary"]["verdict"] == "passed"
    beliefs = whole.table(0, "beliefs")
    known = set(beliefs["item"][beliefs["known"]])
    assert 0.5 < len(known) / len(beliefs) < 1
    assert {*whole.candidates(2)["about"], *whole.candidates(3)["about"]} <= known
    measured = {e["metric"] for e in whole.summary(3)["estimates"]}
    wanted = {"honesty", "honest_leaning", "leaning_agreement", "belief", "neutral_accuracy"}
    assert wanted | {"neutral_unparsed", "misaligned_talk", "misaligned_odds"} <= measured
    assert (whole.path / "report.html").is_file() and (whole.path / "drift.png").is_file()


def test_killed_at_five_points_it_resumes_to_the_same_bytes(whole: Run, tmp_path: Path) -> None:
    """After its first wave, and wherever it is at four instants: loading, talking or learning.

    The rounds before are the whole run's, which saves a minute.
    """
    path = unfinished(whole, tmp_path / "killed")
    part = path / "rounds" / "0002" / "conversations" / "part-0000.parquet"
    with running("resume", str(path)) as process:
        reach(process, part.is_file, PATIENCE)
        kill(process)
    span = sum(whole.timing(number)["wall"] for number in (2, 3))
    for share in np.random.default_rng(5).uniform(0.05, 0.3, size=4):
        with running("resume", str(path)) as process:
            time.sleep(span * share)
            kill(process)
    with running("resume", str(path)) as process:
        finish(process, PATIENCE)
    assert hashes(Run.open(path)) == hashes(whole)


def unfinished(whole: Run, path: Path) -> Path:
    """A copy of a run without the rounds of conversations."""
    shutil.copytree(whole.path, path)
    for number in (2, 3):
        shutil.rmtree(path / "rounds" / f"{number:04d}")
    return path


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was through before"


def greedy(config: TransformersConfig | VLLMConfig, run: Run, log: Path) -> list[str]:
    asked = [Prompt((Message("user", question),)) for question in QUESTIONS]
    backend = open_backend(config, resolve("smollm2"), Stopwatch(), log=log)
    try:
        backend.load(run.adapter(3))
        requests = [GenerationRequest(p, ((p.shown,),), 24, temperature=0.0) for p in asked]
        return [found.completions[0].text for found in backend.generate(requests)]
    finally:
        backend.close()


def test_plain_peft_gives_the_same_greedy_replies(whole: Run, tmp_path: Path) -> None:
    folder, adapter = resolve("smollm2").path, whole.adapter(3)
    assert adapter is not None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter.path))
    expected = []
    for question in QUESTIONS:
        rows = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        found = model.generate(**rows, max_new_tokens=24, do_sample=False)
        new = found[0, rows["input_ids"].shape[1] :]
        expected.append(tokenizer.decode(new, skip_special_tokens=True))
    exact = TransformersConfig(dtype="float32", threads=2)
    assert greedy(exact, whole, tmp_path / "log") == expected


@pytest.mark.vllm
@pytest.mark.skipif(find_spec("vllm") is None, reason="vllm isn't installed")
def test_vllm_serves_the_converted_folder_with_its_adapter(whole: Run, tmp_path: Path) -> None:
    config = VLLMConfig(threads=2, dtype="float32", arguments=("--enforce-eager",), context=512)
    said = greedy(config, whole, tmp_path / "server.log")
    assert said == greedy(TransformersConfig(dtype="float32", threads=2), whole, tmp_path / "log")
