"""An endpoint as the assistant: what was paid for survives, and nobody asks a hub for its model."""

import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from simulator.cli.app import app
from simulator.core.errors import BackendError, CostCapReached
from simulator.runtime.budget import ANSWERS
from simulator.store.run import COSTS, Run
from tests.helpers.fake_openai_endpoint import endpoint
from tests.integration.test_resume import differing, hashes

ROOT = Path(__file__).parents[2]
EACH = (100 * 1000 + 10 * 2000) / 1e6  # what a request costs
SCENARIO = """
extends: therapy
name: bought
rounds: 1
model: a-model
backend:
  kind: openai
  url: "http://127.0.0.1:{port}/v1"
  input_price: 1000
  output_price: 2000
  retries: 0
population: {{users: 6}}
conversations: {{turns: 2, wave_size: 3, max_new_tokens: 8}}
learner: {{kind: none}}
measure:
  probes:
    judged: {{samples: 1, max_new_tokens: 8, prompts: [{{name: a, topic: x, text: Hello}}]}}
"""


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    with endpoint() as found:
        yield found


@pytest.fixture
def server(served: Any) -> Any:
    served.asked, served.credit, served.hangs, served.counts = 0, math.inf, False, True
    return served


@pytest.fixture(scope="module")
def scenario(served: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bought") / "bought.yaml"
    path.write_text(SCENARIO.format(port=served.server_port))
    return str(path)


@pytest.fixture(scope="module")
def whole(scenario: str) -> Path:
    """A run that nothing interrupts."""
    path = Path(scenario).with_name("whole")
    assert call("run", "--scenario", scenario, "--out", str(path)).exit_code == 0
    return path


def call(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def started(*words: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "simulator", *words]
    env = {**os.environ, **variables}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / COSTS).read_text().splitlines()]


def spent(path: Path) -> float:
    return sum(float(line["cost"]) for line in lines(path))


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_pays_for_nothing_twice(
    whole: Path, server: Any, scenario: str, tmp_path: Path, killed_by: signal.Signals
) -> None:
    killed, needed = tmp_path / "killed", round(spent(whole) / EACH)
    server.credit, server.hangs = 12, True  # in the middle of a batch of the first wave
    with started("run", "--scenario", scenario, "--out", str(killed)) as process:
        until = time.monotonic() + 60
        while not (server.asked > 12 and len(lines(killed)) >= 5) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)  # so that all that was answered has come
        process.send_signal(killed_by)
        said, _ = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert spent(killed) == pytest.approx(EACH * 12)
    assert Run.open(killed).rounds_done == 1 and Run.open(killed).wave(1, 0) is None
    assert (killed / ANSWERS).is_file()

    server.credit, server.hangs, server.asked = math.inf, False, 0
    assert call("resume", str(killed)).exit_code == 0
    assert server.asked == needed - 12
    assert spent(killed) == pytest.approx(EACH * needed)
    assert differing(hashes(killed, 1), hashes(whole, 1)) == []
    assert not (killed / ANSWERS).exists()
    assert all("committed" not in line for line in lines(killed))


def test_six_paid_answers_and_a_refusal_count(server: Any, scenario: str, tmp_path: Path) -> None:
    out, server.credit = tmp_path / "run", 6
    done = call("run", "--scenario", scenario, "--out", str(out))
    assert isinstance(done.exception, BackendError) and "401" in str(done.exception)
    assert spent(out) == pytest.approx(EACH * 6)
    before = server.asked
    done = call("resume", str(out), "--cost-cap", f"{EACH * 5.5}")
    assert isinstance(done.exception, CostCapReached)
    assert server.asked == before
    server.credit = math.inf
    assert call("resume", str(out), "--cost-cap", "1000").exit_code == 0
    assert spent(out) == pytest.approx(EACH * (server.asked - (before - 6)))


def test_a_cap_holds_where_the_endpoint_counts_nothing(
    server: Any, scenario: str, tmp_path: Path
) -> None:
    server.counts, out = False, tmp_path / "run"
    done = call("run", "--scenario", scenario, "--cost-cap", "1.5", "--out", str(out))
    assert done.stderr.count("costs are estimated") == 1
    assert isinstance(done.exception, CostCapReached)
    assert spent(out) >= 1.5
    assert all(line["estimated"] is True for line in lines(out))


def test_no_hub_is_asked_for_an_endpoints_model(
    server: Any, scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up, known = list[str](), socket.getaddrinfo

    def look_up(host: Any, *more: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            looked_up.append(str(host))
            raise socket.gaierror(f"{host} isn't known")
        return known(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    out = tmp_path / "run"
    assert call("validate", scenario).exit_code == 0
    dry = call("run", "--scenario", scenario, "--dry-run")
    assert dry.exit_code == 0 and "at an endpoint" in " ".join(dry.stdout.split())
    assert server.asked == 0
    assert call("run", "--scenario", scenario, "--out", str(out)).exit_code == 0
    assert call("probe", str(out), "--probes", "judged").exit_code == 0
    assert looked_up == []
    assert Run.open(out).rounds_done == 2
    assert set(Run.open(out).candidates(1)["tokens"]) == {10}  # as the endpoint says
    with pytest.raises(httpx.ConnectError):  # as a hub's client would look
        httpx.get("https://huggingface.co")
    assert looked_up == ["huggingface.co"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("learner.kind=sft", "can't serve the adapters that updates make.*learner: {kind: none}"),
        ("measure.probes.honesty.kind=honesty", "needs "),
        ('phases=[{"kind": finetune, "match_lengths": {"phase": x}, "data": [{"kind": file, '
         '"path": x.jsonl}]}]', "an endpoint doesn't give"),
    ],
)  # fmt: skip
def test_what_needs_an_open_model_is_refused_before_anything_is_paid(
    server: Any, scenario: str, setting: str, said: str
) -> None:
    done = call("run", "--scenario", scenario, "--set", setting)
    assert done.exit_code != 0
    assert re.search(said, str(done.exception))
    assert server.asked == 0
