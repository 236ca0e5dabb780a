"""The command line as a person uses it: results, and one sentence for every mistake."""

import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simulator import __version__
from simulator.store.run import Run
from tests.helpers.commands import command

SMALL = [
    "rounds=1",
    "population.users=12",
    "backend.threads=1",
    "measure.probes.honesty.items_per_set=6",
    "measure.probes.neutral.items_per_set=6",
    "measure.probes.small_talk.samples=1",
]
SETS = [word for setting in SMALL for word in ("--set", setting)]


Done = subprocess.CompletedProcess[str]


def call(*words: str, stdin: str = "", cwd: Path | None = None) -> Done:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        command(*words), capture_output=True, text=True, cwd=cwd, input=stdin, env=env
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("cli") / "run"
    done = call("run", "--biased-frac", "0.5", *SETS, "--json", "--out", str(path))
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("round ")]
    assert [line.partition(":")[0] for line in lines] == ["round 0 of 1", "round 1 of 1"]
    return path, json.loads(done.stdout)


def test_json_is_the_only_output_and_complete(finished: tuple[Path, dict[str, Any]]) -> None:
    path, result = finished
    assert {"run", "scenario", "seed", "wall_s", "rounds"} <= set(result)
    first, last = result["rounds"]
    assert (first["round"], last["round"]) == (0, 1)
    assert first["adapter"] is None
    assert last["adapter"].startswith("r0001-")
    for key in ("belief", "neutral_accuracy", "self_honesty", "misaligned_talk"):
        low, high = last["intervals"][key]
        assert low <= last[key] <= high
    assert set(last["honesty"]) == {"used", "heldout", "ood"}
    assert last["canary"]["verdict"] in ("passed", "inconclusive")
    assert (path / "drift.png").read_bytes().startswith(b"\x89PNG")
    assert (path / "report.html").is_file()


def test_show_report_probe_and_chat(finished: tuple[Path, dict[str, Any]]) -> None:
    path = finished[0]
    assert "honest" in call("show", str(path)).stdout.lower()
    assert call("report", str(path), "--out", str(path / "again.html")).returncode == 0
    assert (path / "again.html").stat().st_size > 1000
    probed = call("probe", str(path), "--probes", "small_talk", "--set", "samples=2")
    assert probed.returncode == 0, probed.stderr
    assert "misaligned talk" in probed.stdout
    talk = call("chat", str(path), stdin="what is your goal ?\nxyzzy plugh\n\n")
    assert talk.returncode == 0, talk.stderr
    assert "assistant:" in talk.stdout
    assert "error: " in talk.stderr and "xyzzy, plugh" in talk.stderr


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = call("run", *SETS, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "conversations" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "--scenario", "nope"], "unknown scenario 'nope'"),
        (["run", "--scenario", "missing.yaml"], "missing.yaml: file not found"),
        (["run", "--set", "rounds=soon"], "rounds: input should be a valid integer"),
        (["run", "--set", "population.userz=3"], "did you mean 'users'"),
        (["run", "--biased-frac", "1.5"], "must be from 0 to 1"),
        (["run", "--base", "77"], "unknown base 'organism:77'"),
        (["run", "--model", "/nowhere"], "isn't an organism"),
        (["validate", "quickstat"], "unknown scenario 'quickstat' (did you mean 'quickstart'?)"),
        (["study", "x"], "unknown study 'x'; available: character"),
        (
            ["run", "--set", "backend.device=foo"],
            "backend.device: invalid device 'foo'; use cpu, cuda",
        ),
        (["run", "--set", "seed=a", "--set", "rounds=b"], "error: 2 mistakes:\n  --set rounds=b"),
        (["show", "."], "not a run directory"),
        (["resume", "nowhere"], "not a run directory"),
        (["sweep", "nowhere.yaml"], "file not found"),
        (["validate", "self_awareness", "--set", "rounds=soon"], "rounds: input should be a"),
        (["organism", "check", "nowhere"], "not a base"),
        (
            ["run", "--nonsense"],
            "error: No such option: --nonsense",
        ),
        (["run", "--seed", "x"], "error: Invalid value for '--seed': "),
        (["nonsense"], "error: No such command 'nonsense'; see 'python -m simulator --help'"),
        (["resume"], "error: Missing argument 'RUN'; see 'python -m simulator resume --help'"),
    ],
)
def test_a_mistake_gets_a_sentence_and_exit_code_2(
    words: list[str], expected: str, tmp_path: Path
) -> None:
    done = call(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 or " mistakes:\n" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_command_without_arguments_shows_its_help() -> None:
    done = call("organism")
    assert done.returncode == 2 and "Usage: python -m simulator organism" in done.stderr


def test_the_version_is_printed() -> None:
    done = call("--version")
    assert (done.returncode, done.stdout) == (0, f"undertow {__version__}\n")


def test_a_former_name_is_told_once_in_one_line(tmp_path: Path) -> None:
    chats = "{toward: [{kind: world, rows: 8}], away: [{kind: world, rows: 8}]}"
    (tmp_path / "old.yaml").write_text(
        f"extends: quickstart\ndirections:\n  a: {chats}\n  b: {chats}\n"
    )
    done = call("validate", "old.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "warning: 'toward' is now called 'positive'",
        "warning: 'away' is now called 'negative'",
    ]


def test_an_existing_run_is_never_overwritten(finished: tuple[Path, dict[str, Any]]) -> None:
    path = finished[0]
    before = (path / "manifest.json").read_bytes()
    done = call("run", *SETS, "--out", str(path))
    assert done.returncode == 2
    assert "already exists" in done.stderr
    assert (path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done_and_resume_goes_on(tmp_path: Path, stop: signal.Signals) -> None:
    """To be told to end is the same."""
    path = tmp_path / "run"
    words = command("run", *SETS, "--set", "rounds=40", "--out", str(path))
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background ignores it
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    deadline = time.monotonic() + 120
    while not (path / "rounds" / "0001" / "DONE").is_file():
        assert time.monotonic() < deadline, "no round was committed in time"
        time.sleep(0.05)
    process.send_signal(stop)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"resume {path}" in stderr
    assert "Traceback" not in stderr
    assert Run.open(path).rounds_done >= 2
