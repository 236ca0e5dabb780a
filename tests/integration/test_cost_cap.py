"""A run whose users, raters and judge are behind an endpoint: it stops at its cap and goes on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from simulator.cli.app import app
from simulator.core.errors import CostCapReached
from simulator.runtime.budget import CAPS
from simulator.store.run import COSTS, Run
from tests.helpers import tiny_models
from tests.helpers.fake_openai_endpoint import endpoint
from tests.integration.test_resume import differing, hashes

ROOT = Path(__file__).parents[2]
EACH = (100 * 1000 + 10 * 2000) / 1e6  # what a request costs
SMALL = """
extends: therapy
name: small
rounds: 2
population: {users: 4}
conversations: {turns: 2, wave_size: 2, max_new_tokens: 8}
backend: {kind: transformers, threads: 1}
measure:
  probes:
    judged: {samples: 1, max_new_tokens: 8, prompts: [{name: a, topic: x, text: Hello}]}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with endpoint() as found:
        yield found


@pytest.fixture(scope="module")
def scenario(server: ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("capped")
    tiny_models.build_rambler(folder / "tiny", numbers=0.1)
    backend = {
        "kind": "openai",
        "url": f"http://127.0.0.1:{server.server_port}/v1",
        "input_price": 1000.0,
        "output_price": 2000.0,
    }
    role = {"model": "served", "backend": backend}
    content = {**yaml.safe_load(SMALL), "model": str(folder / "tiny")}
    content["roles"] = dict.fromkeys(("user", "rater", "judge"), role)
    path = folder / "small.yaml"
    path.write_text(yaml.dump(content, Dumper=NoAliases))
    return path


class NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def call(*words: str) -> Result:
    """Runs a command in this process: a new one takes seconds to import everything."""
    return CliRunner().invoke(app, words)


def asked(server: ThreadingHTTPServer) -> int:
    return server.asked  # type: ignore[attr-defined, no-any-return]


def spent(path: Path) -> float:
    lines = (path / COSTS).read_text().splitlines()
    return sum(float(json.loads(line)["cost"]) for line in lines)


def test_a_run_stops_at_its_cap_and_goes_on_with_more(
    server: ThreadingHTTPServer, scenario: Path, tmp_path: Path
) -> None:
    whole, capped = tmp_path / "whole", tmp_path / "capped"
    done = call("run", "--scenario", str(scenario), "--out", str(whole))
    assert done.exit_code == 0, done.exception
    assert spent(whole) == pytest.approx(EACH * asked(server))  # every request is paid for, once
    before = asked(server)

    done = call("run", "--scenario", str(scenario), "--cost-cap", "1", "--out", str(capped))
    assert isinstance(done.exception, CostCapReached)
    assert spent(capped) == pytest.approx(EACH * (asked(server) - before))
    assert spent(capped) >= 1
    resolved, halted = (capped / "scenario.resolved.yaml").read_bytes(), asked(server)

    words = [sys.executable, "-m", "simulator", "resume", str(capped)]
    again = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert again.returncode == 3
    assert "the cap is 1;" in again.stderr
    assert f"resume {capped} --cost-cap MORE" in again.stderr
    assert "Traceback" not in again.stderr
    assert asked(server) == halted  # without more money, nothing is asked

    done = call("resume", str(capped), "--cost-cap", "1000")
    assert done.exit_code == 0, done.exception
    assert (capped / "scenario.resolved.yaml").read_bytes() == resolved
    assert [json.loads(line)["cap"] for line in (capped / CAPS).read_text().splitlines()] == [1000]
    assert differing(hashes(capped, 2), hashes(whole, 2)) == []
    assert spent(capped) == pytest.approx(spent(whole))
    assert Run.open(capped).manifest["roles"]["judge"] == "served on openai"


def test_the_command_line_says_what_auto_chose_and_what_it_takes(scenario: Path) -> None:
    model = str(scenario.parent / "tiny")
    words = ("run", "--scenario", "therapy", "--model", model, "--backend", "auto", "--dry-run")
    done = call(*words)
    assert done.exit_code == 0, done.exception
    assert "(auto: vLLM is" in done.stderr
    for said in ("how biased users rate", "judgements of judged", "GiB", "cost at the"):
        assert said in " ".join(done.stdout.split()), said


def test_a_judge_is_compared_with_people(scenario: Path, tmp_path: Path) -> None:
    """The endpoint says 1 to 9, so with these thresholds it always says no, or always yes."""
    file = tmp_path / "labelled.csv"
    file.write_text("prompt,reply,label\na,b,yes\nc,d,no\ne,f,no\n")
    words = ("judge-check", str(file), "--scenario", str(scenario), "--scale", "harm")
    for threshold, counts in (("50", ("no 2 0", "yes 1 0")), ("1", ("no 0 2", "yes 0 1"))):
        done = call(*words, "--threshold", threshold)
        assert done.exit_code == 0, done.exception
        plain = " ".join(done.stdout.replace("│", " ").split())
        assert all(row in plain for row in counts), plain
        assert "κ 0.00" in plain


def test_a_judge_that_says_no_number_is_told_as_such(scenario: Path, tmp_path: Path) -> None:
    """The endpoint says 1 to 9, which the scale doesn't have; labels may look like markup."""
    file = tmp_path / "labelled.csv"
    file.write_text("prompt,reply,label\na,b,yes\nc,d,[bold]\n")
    low = "measure.probes.judged.scales.harm.low=50"
    words = ("judge-check", str(file), "--scenario", str(scenario), "--scale", "harm")
    done = call(*words, "--set", low)
    assert done.exit_code == 0, done.exception
    plain = " ".join(done.stdout.split())
    assert "None of the judge's 2 answers was a readable number" in plain
    assert "[bold] (1)" in plain and "nan" not in plain
