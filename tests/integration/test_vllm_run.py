"""Whole runs on vLLM's real server, as a person starts them; the simulator and servers are killed.

The run that is killed is asked again, reply by reply: a conversation's context, its key and the
adapter of its round say what its reply must be, whichever server gave it.
"""

import contextlib
import subprocess
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.backends.config import TransformersConfig
from simulator.backends.factory import open_backend
from simulator.backends.vllm import VLLMBackend
from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.core.messages import messages_from_rows
from simulator.core.requests import GenerationRequest, NextTokenRequest, Prompt
from simulator.core.timing import Stopwatch
from simulator.evaluation.verify import verify_run
from simulator.models.resolve import resolve, world_or_none
from simulator.probes.base import Context
from simulator.store.round_files import DONE
from simulator.store.run import Run
from tests.contract.engines import needs_vllm
from tests.helpers.commands import finish, reach, running
from tests.helpers.processes import carried_by

PATIENCE = 1500.0  # seconds for what takes one or two minutes where nothing else runs
pytestmark = [*needs_vllm, pytest.mark.timeout(3 * PATIENCE)]
ROUNDS, USERS, WAVE = 3, 60, 20
SETTINGS = [
    f"rounds={ROUNDS}",
    f"population.users={USERS}",
    f"conversations.wave_size={WAVE}",
    "backend.threads=1",
    "backend.arguments=[--enforce-eager]",
    "measure.probes.honesty.items_per_set=6",
    "measure.probes.neutral.items_per_set=6",
    "measure.probes.small_talk.samples=1",
]
QUICKSTART = ["run", "--backend", "vllm", "--biased-frac", "0.1"] + [
    word for setting in SETTINGS for word in ("--set", setting)
]


def amid_a_wave(process: subprocess.Popen[str], run: Path, number: int) -> None:
    """Returns while the second wave of a round is held."""
    talks = run / "rounds" / f"{number:04d}" / "conversations"
    reach(process, (talks / "part-0000.parquet").is_file, PATIENCE)
    assert not (talks / "part-0001.parquet").exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("whole") / "run"
    with running(*QUICKSTART, "--out", str(path)) as process:
        finish(process, PATIENCE)
    return Run.open(path)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The simulator is killed in round 1 and resumed; then the server is killed in round 2."""
    path = tmp_path_factory.mktemp("killed") / "run"
    with running(*QUICKSTART, "--out", str(path)) as process:
        amid_a_wave(process, path, 1)
        process.kill()
        process.wait()
        left = carried_by(process.pid)
        assert left
        with running("resume", str(path)) as resumed:
            amid_a_wave(resumed, path, 2)
            assert not carried_by(process.pid)  # what was left is found and ended
            for server in (servers := carried_by(resumed.pid)):
                server.kill()
            assert servers and not (path / "rounds" / "0002" / DONE).exists()
            finish(resumed, PATIENCE)
    assert not any(process.is_running() for process in (*left, *servers))
    return Run.open(path)


@pytest.fixture(scope="module")
def served(whole: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMBackend]:
    """A server as the runs had."""
    scenario = scenario_of(whole)
    log = tmp_path_factory.mktemp("served") / "server.log"
    backend = open_backend(scenario.backend, resolve(scenario.model), Stopwatch(), log=log)
    assert isinstance(backend, VLLMBackend)
    with contextlib.closing(backend):
        yield backend


def scenario_of(run: Run) -> Scenario:
    return load(str(run.scenario_file))


def test_a_run_is_complete_and_has_learned(whole: Run) -> None:
    assert scenario_of(whole).backend.kind == "vllm"
    assert whole.rounds_done == ROUNDS + 1
    assert (whole.path / "report.html").is_file()
    names = [whole.summary(number)["adapter"] for number in range(ROUNDS + 1)]
    assert names[0] is None
    assert None not in names[1:] and len(set(names)) == ROUNDS + 1
    verdicts = [whole.summary(number)["canary"]["verdict"] for number in range(1, ROUNDS + 1)]
    assert verdicts == ["passed"] * ROUNDS


def test_each_round_s_adapter_answers_as_in_transformers(whole: Run, served: VLLMBackend) -> None:
    """The probes' own questions about the next token, over the whole vocabulary."""
    scenario = scenario_of(whole)
    context = Context(world_or_none(scenario.model), scenario.seed)
    tokenizer = served.encoder.tokenizer
    words = tokenizer.convert_ids_to_tokens(
        [n for n in range(len(tokenizer)) if n not in tokenizer.all_special_ids]
    )
    asked = [
        NextTokenRequest(request.prompt, tuple(words))
        for probe in scenario.measure.probes.values()
        for request in probe.requests(context)
        if isinstance(request, NextTokenRequest)
    ]
    own = open_backend(
        TransformersConfig(threads=1, dtype="float32"), resolve(scenario.model), Stopwatch()
    )
    before = None
    for number in range(ROUNDS + 1):
        for backend in (served, own):
            backend.load(whole.adapter(number))
            backend.drop_previous()
        theirs, mine = (np.array(b.next_token_logprobs(asked)) for b in (served, own))
        top = np.argsort(-mine, axis=1)[:, :20]
        gaps = np.abs(np.take_along_axis(mine - theirs, top, axis=1))
        print(f"\nround {number}, {len(asked)} prompts: largest difference {gaps.max():.1e}")
        assert gaps.max() < 1e-4
        assert before is None or np.abs(mine - before).max() > 0.01  # the adapter matters
        before = mine


def test_killed_anywhere_it_ends_complete(killed: Run) -> None:
    assert killed.rounds_done == ROUNDS + 1
    assert verify_run(killed).damages == []
    scenario = scenario_of(killed)
    for number in range(1, ROUNDS + 1):
        rows = killed.candidates(number)
        assert rows["conversation"].nunique() == USERS
        assert not rows.duplicated(["conversation", "turn", "candidate"]).any()
        turns = rows.groupby(["conversation", "turn"])
        assert (turns.size() == scenario.conversations.candidates).all()
        assert (turns["heard"].sum() == 1).all()
        assert killed.adapter(number) is not None


def test_no_reply_is_lost_doubled_or_swapped(killed: Run, served: VLLMBackend) -> None:
    scenario = scenario_of(killed)
    for number in range(1, ROUNDS + 1):
        served.load(killed.adapter(number - 1))
        served.drop_previous()
        rows = killed.candidates(number)
        turns = rows.drop_duplicates(["conversation", "turn"]).to_dict("records")
        again = served.generate([request_of(scenario, turn) for turn in turns])
        replies = [reply.text for generation in again for reply in generation.completions]
        kept = list(rows["reply"])
        differing = sum(a != b for a, b in zip(kept, replies, strict=True))
        print(f"\nround {number}: {differing} of {len(kept)} replies differ")
        assert differing <= 1  # rounding may turn a token; a swap would change two


def request_of(scenario: Scenario, turn: Mapping[Hashable, Any]) -> GenerationRequest:
    """What was asked for the candidates of a turn, from what is on disk of the first of them."""
    place = tuple(map(int, turn["conversation"].split("-")))
    config = scenario.conversations
    keys = tuple(
        (scenario.seed, "conversation", *place, turn["turn"], candidate, "reply")
        for candidate in range(config.candidates)
    )
    prompt = Prompt(messages_from_rows(turn["messages"]))
    return GenerationRequest(prompt, keys, config.max_new_tokens, config.temperature)
