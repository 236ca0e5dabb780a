"""Faults between a run and vLLM's real server: the log is complete, or the run stops and resumes.

A proxy stands before one server for all tests. Replies are drawn by keyed seeds, so a run that went
through a fault must say, word for word, what an undisturbed one says.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from safetensors.torch import load_file, save_file

from simulator.backends.config import VLLMConfig
from simulator.backends.factory import open_backend
from simulator.backends.vllm import VLLMBackend
from simulator.config.loading import load
from simulator.core.adapters import ADAPTER_WEIGHTS, Adapter
from simulator.core.errors import BackendError, LearnerError, UndertowError
from simulator.core.timing import Stopwatch
from simulator.evaluation.verify import verify_run
from simulator.experiments.run import resume, start
from simulator.models.resolve import resolve
from simulator.runtime.observers import Silent
from simulator.store.run import Run
from tests.contract.engines import KEY, SERVED, needs_vllm
from tests.helpers.commands import command
from tests.helpers.faulty_proxy import (
    Exchange,
    Fault,
    Proxy,
    Request,
    Schedule,
    Upstream,
    altered,
    asks_otherwise,
    at,
    before,
    garbled,
    half,
    hangs,
    loads,
    no_faults,
    now_and_then,
    reads,
    refused,
    reset_after,
    reset_before,
    says,
    slow,
    talks,
    together,
    unloads,
)  # fmt: skip
from tests.helpers.processes import carried_by

pytestmark = list(needs_vllm)
MODEL = "organism:0"
SETTINGS = {
    "population.users": 6,
    "conversations.wave_size": 3,
    "learner.learning_rate": 0.01,  # adapters that speak otherwise
    "learner.collapse": "null",
    "measure.probes.honesty.items_per_set": 3,
    "measure.probes.neutral.items_per_set": 3,
    "measure.probes.small_talk.samples": 1,
    "backend.threads": 1,
    "backend.key_variable": KEY,
}
ALL_KEYS = ["conversation", "turn", "candidate"]
SOON = "0.05"  # seconds, as Retry-After


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMBackend]:
    log = tmp_path_factory.mktemp("server") / "server.log"
    backend = open_backend(SERVED, resolve(MODEL), Stopwatch(), log=log)
    assert isinstance(backend, VLLMBackend)
    with contextlib.closing(backend):
        yield backend


def upstream_of(server: VLLMBackend) -> Upstream:
    assert server._server is not None
    port = urlsplit(server._server.url).port
    assert port is not None
    return Upstream(port, server._server.key)


@pytest.fixture(scope="module")
def proxy(server: VLLMBackend) -> Iterator[Proxy]:
    with before(upstream_of(server)) as found:
        yield found


def words_of(proxy: Proxy, settings: dict[str, Any]) -> list[str]:
    every = {"backend.url": proxy.url, "rounds": 1, **SETTINGS, **settings}
    return [f"{name}={value}" for name, value in every.items()]


def play(proxy: Proxy, out: Path, schedule: Schedule, **settings: Any) -> Run:
    """Plays a run of one round, unless settings say otherwise."""
    proxy.schedule(schedule)
    chosen = {"backend": {"kind": "vllm"}}
    words = words_of(proxy, {name.replace("__", "."): v for name, v in settings.items()})
    return start(load(overrides=words, options=chosen, biased_frac=0.5), out, Silent())


@pytest.fixture(scope="module")
def undisturbed(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two rounds; a run of one says the same in its first."""
    return play(proxy, tmp_path_factory.mktemp("undisturbed") / "run", no_faults, rounds=2)


def check_complete(run: Run, undisturbed: Run) -> None:
    """No reply is lost, doubled or swapped, and the run is intact."""
    assert verify_run(run).damages == []
    for number in range(1, run.rounds_done):
        rows = run.candidates(number)
        assert not rows.duplicated(ALL_KEYS).any()
        assert rows.equals(undisturbed.candidates(number))
        assert run.adapter(number) is not None


def check_stop(stopped: pytest.ExceptionInfo[UndertowError]) -> None:
    """One sentence, and the exit code of a foreseen error."""
    assert stopped.value.exit_code == 2
    assert "\n" not in str(stopped.value)


# Faults that pass: the run goes on


BUSY = '{"error": {"message": "too many requests"}}'
PASSING: dict[str, tuple[Fault, tuple[int, ...]]] = {
    "refused": (refused(1.5), (1,)),
    "reset before it was heard": (reset_before, (1, 2)),
    "reset after it was answered": (reset_after, (1, 2)),
    "half an answer": (half, (1, 2)),
    "a slow answer": (slow(1.0), (1, 2)),
    "no HTTP": (garbled, (1, 2)),
    "429": (says(429, BUSY, wait=SOON), (1, 2, 3, 4)),
    "500": (says(500, "oh no", "text/plain"), (1, 2)),
    "503": (says(503, "", wait=SOON), (1, 2, 3, 4)),
    "an error of status 200": (says(200, BUSY), (1, 2)),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_changes_nothing(
    proxy: Proxy, undisturbed: Run, tmp_path: Path, name: str
) -> None:
    fault, numbers = PASSING[name]
    check_complete(play(proxy, tmp_path / "run", at(fault, talks, *numbers)), undisturbed)


def test_an_answer_that_is_late_once_is_asked_for_again(
    proxy: Proxy, undisturbed: Run, tmp_path: Path
) -> None:
    run = play(proxy, tmp_path / "run", at(hangs, talks, 1), backend__deadline=4)
    check_complete(run, undisturbed)


def test_lost_answers_of_every_kind_change_nothing(
    proxy: Proxy, undisturbed: Run, tmp_path: Path
) -> None:
    """Adapters that were loaded or taken already are asked for again, too."""
    schedule = together(
        at(reset_after, loads, 0, 3),  # the first time of each
        at(reset_after, unloads, 2),
        now_and_then(reset_after, talks, 0.2, seed=1),
        now_and_then(half, reads, 0.05, seed=2),
    )
    run = play(proxy, tmp_path / "run", schedule, rounds=2)
    check_complete(run, undisturbed)
    assert len({request.body["lora_name"] for request in proxy.seen if loads(request)}) == 2


# Faults that last, and answers that can't be believed: the run stops, and resumes


def loses_a_reply(said: dict[str, Any]) -> None:
    said["choices"].pop()


def doubles_a_reply(said: dict[str, Any]) -> None:
    said["choices"].append(said["choices"][0])


def is_another_s(said: dict[str, Any]) -> None:
    for choice in said["choices"]:
        choice["prompt_token_ids"] = choice["prompt_token_ids"][::-1]


def has_no_tokens(said: dict[str, Any]) -> None:
    for choice in said["choices"]:
        del choice["token_ids"]


def reads_the_adapter(request: Request) -> bool:
    return reads(request) and request.body["model"] != "base"


def lacks_a_probability(said: dict[str, Any]) -> None:
    said["choices"][0]["logprobs"]["top_logprobs"][0].popitem()


LASTING: dict[str, tuple[Schedule, str]] = {
    "a page": (at(says(200, "<html>no</html>", "text/html"), talks, 1), "doesn't follow OpenAI's"),
    "cut JSON": (at(says(200, '{"choices": [{'), talks, 1), "doesn't follow OpenAI's"),
    "a lost reply": (at(altered(loses_a_reply), talks, 1), "3 choices in place of 4"),
    "a doubled reply": (at(altered(doubles_a_reply), talks, 1), "5 choices in place of 4"),
    "another's reply": (at(altered(is_another_s), talks, 1), "to another prompt"),
    "no tokens": (at(altered(has_no_tokens), talks, 1), "no tokens"),
    "a lost probability": (
        at(altered(lacks_a_probability), reads_the_adapter, 1),
        "probabilities are missi",
    ),
    "503 for good": (at(says(503, "", wait=SOON), talks), "error 503"),
    "429 for an hour": (at(says(429, BUSY, wait="3600"), talks), r"Retry-After: 3600"),
    "an adapter that fails to load": (at(says(500, "no room", wait=SOON), loads), "500: no room"),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_stops_the_run_which_resumes(
    proxy: Proxy, undisturbed: Run, tmp_path: Path, name: str
) -> None:
    schedule, told = LASTING[name]
    with pytest.raises(BackendError, match=told) as stopped:
        play(proxy, tmp_path / "run", schedule)
    check_stop(stopped)
    assert verify_run(Run(tmp_path / "run")).damages == []
    proxy.schedule(no_faults)
    check_complete(resume(tmp_path / "run", Silent()), undisturbed)


def test_a_server_that_hangs_is_given_up(proxy: Proxy, undisturbed: Run, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="no answer within 3 s") as stopped:
        play(proxy, tmp_path / "run", at(hangs, talks), backend__deadline=3)
    check_stop(stopped)
    assert sum(map(talks, proxy.seen)) == 2 * 3  # each of a wave's first turns, twice
    proxy.schedule(no_faults)
    check_complete(resume(tmp_path / "run", Silent()), undisturbed)


def test_the_command_line_stops_with_a_sentence_and_resumes(
    proxy: Proxy, undisturbed: Run, tmp_path: Path
) -> None:
    proxy.schedule(at(altered(is_another_s), talks, 1))
    sets = [word for setting in words_of(proxy, {}) for word in ("--set", setting)]
    out = ["--biased-frac", "0.5", "--out", str(tmp_path / "run")]
    done = called("run", "--backend", "vllm", *sets, *out)
    assert done.returncode == 2
    assert "error: " in done.stderr and "Traceback" not in done.stderr
    proxy.schedule(no_faults)
    for words in ("resume", "verify"):
        done = called(words, str(tmp_path / "run"))
        assert done.returncode == 0, done.stderr
    check_complete(Run.open(tmp_path / "run"), undisturbed)


def called(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True)


# Adapters


@pytest.fixture(scope="module")
def third(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    """An adapter of another run's first round."""
    run = play(proxy, tmp_path_factory.mktemp("third") / "run", no_faults, seed=7)
    adapter = run.adapter(1)
    assert adapter is not None
    return adapter


@pytest.mark.parametrize(("number", "whose"), [(1, "third"), (2, "third"), (2, "parent")])
def test_a_wrong_adapter_under_the_right_name_is_not_committed(
    proxy: Proxy, undisturbed: Run, third: Adapter, tmp_path: Path, number: int, whose: str
) -> None:
    wrong = third if whose == "third" else undisturbed.adapter(1)
    assert wrong is not None
    path = str(wrong.path.resolve())

    def swap(request: Request) -> Fault | None:
        named = request.body.get("lora_name", "")
        meant = loads(request) and named.startswith(f"r{number:04d}")
        return asks_otherwise(lora_path=path) if meant else None

    with pytest.raises(LearnerError, match=f"round {number}: the canary failed") as stopped:
        play(proxy, tmp_path / "run", swap, rounds=number)
    check_stop(stopped)
    assert Run(tmp_path / "run").rounds_done == number
    proxy.schedule(no_faults)
    check_complete(resume(tmp_path / "run", Silent()), undisturbed)


def test_the_base_in_place_of_the_adapter_is_noticed_by_its_name(
    proxy: Proxy, undisturbed: Run, tmp_path: Path
) -> None:
    def astray(request: Request) -> Fault | None:
        named = request.body.get("model", "").startswith("r0001")
        return asks_otherwise(model="base") if named else None

    with pytest.raises(BackendError, match="'base' answers in place of 'r0001-") as stopped:
        play(proxy, tmp_path / "run", astray)
    check_stop(stopped)
    proxy.schedule(no_faults)
    check_complete(resume(tmp_path / "run", Silent()), undisturbed)


def test_an_adapter_with_surplus_layers_is_not_posted(
    proxy: Proxy, server: VLLMBackend, undisturbed: Run, tmp_path: Path
) -> None:
    """The server would answer 200, and leave out what it has no place for."""
    surplus = with_a_surplus_layer(undisturbed, tmp_path / "surplus")
    config = VLLMConfig(url=proxy.url, key_variable=KEY)
    proxy.schedule(no_faults)
    with (
        contextlib.closing(open_backend(config, resolve(MODEL), Stopwatch())) as backend,
        pytest.raises(BackendError, match=r"surplus isn't .* of this model: .*layers\.9\."),
    ):
        backend.load(surplus)
    assert proxy.seen == []
    upstream = upstream_of(server)
    taken = httpx2.post(
        f"http://127.0.0.1:{upstream.port}/v1/load_lora_adapter",
        json={"lora_name": surplus.name, "lora_path": str(surplus.path)},
        headers={"authorization": f"Bearer {upstream.key}"},
        trust_env=False,
    )
    assert taken.status_code == 200


def with_a_surplus_layer(run: Run, out: Path) -> Adapter:
    """A run's adapter, with one of its layers a second time, as the tenth."""
    adapter = run.adapter(1)
    assert adapter is not None
    shutil.copytree(adapter.path, out)
    tensors = load_file(out / ADAPTER_WEIGHTS)
    more = {name.replace("layers.0.", "layers.9."): tensor.clone()
            for name, tensor in tensors.items() if "layers.0." in name}  # fmt: skip
    assert more
    save_file({**tensors, **more}, out / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    return Adapter("surplus", out)


# The last test, as it ends the server


def in_round_2(request: Request) -> bool:
    return talks(request) and request.body["model"] != "base"


def test_a_server_that_is_killed_amid_a_wave_and_started_again(
    proxy: Proxy, server: VLLMBackend, undisturbed: Run, tmp_path: Path
) -> None:
    """In the second round, so the new server lacks the adapter that the run has loaded."""

    def killed(exchange: Exchange) -> None:
        for process in carried_by(os.getpid()):
            process.kill()
        exchange.reset()

    with pytest.raises(BackendError, match="can't be reached") as stopped:
        play(proxy, tmp_path / "run", at(killed, in_round_2, 2), rounds=2)
    check_stop(stopped)
    server.load(None)  # it is started again
    proxy.upstream = upstream_of(server)
    proxy.schedule(no_faults)
    check_complete(resume(tmp_path / "run", Silent()), undisturbed)
