"""Sweeps by several commands, in shards, and on real Ray: a cluster loses a node and goes on."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray.cluster_utils import Cluster
from typer.testing import CliRunner

from simulator.backends.vllm_adapters import served_name
from simulator.cli.app import app
from simulator.core.errors import BackendError, ScenarioError, StoreError
from simulator.evaluation.verify import verify_run
from simulator.experiments.executors import Asked
from simulator.experiments.sweep import Shard, run_sweep
from simulator.store.round_files import RoundFiles
from simulator.store.run import Run
from simulator.store.sweep import Sweep
from tests.conftest import TINY
from tests.helpers.planting import differs_by_run
from tests.helpers.processes import carried_by

SETTINGS: dict[str, Any] = {
    key: yaml.safe_load(value) for key, _, value in (line.partition("=") for line in TINY)
}
PATIENCE = 240  # seconds for what takes some

pytestmark = pytest.mark.xdist_group("clusters")  # one process: they share the serial sweep


def write(folder: Path, rounds: int = 2) -> str:
    content = {
        "name": "small",
        "processes": 1,
        "set": {**SETTINGS, "rounds": rounds, "backend.threads": 1},
        "over": {"seed": [0, 1], "biased_frac": [0.0, 0.5]},
        "arms": {"loop": {}},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def hashes(sweep: Sweep) -> dict[str, str]:
    """The hash of every file of every round of every run."""
    return {
        f"{member.run.path.name}/{number}/{name}": digest
        for member in sweep.members
        for number in range(member.run.rounds_done)
        for name, digest in RoundFiles(member.run.folder(number)).hashes.items()
        if not differs_by_run(name)
    }


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The hashes of a sweep whose runs are played one after another."""
    folder = tmp_path_factory.mktemp("serial")
    return hashes(run_sweep(write(folder), folder / "out"))


def command(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(folder: Path, found: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not list(folder.rglob(found)):
        assert time.monotonic() < deadline, f"there is no {found}"
        time.sleep(0.05)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_gives_the_same_bytes(
    cluster: Cluster, tmp_path: Path, serial: dict[str, str]
) -> None:
    lost = cluster.add_node(num_cpus=1)
    file, out = write(tmp_path), tmp_path / "out"
    with command(
        "sweep", file, "--out", str(out), "--engine", "ray", "--address", cluster.address
    ) as process:
        wait_for(out, "0000/DONE")
        deadline = time.monotonic() + PATIENCE
        while sum(m.run.holder is not None for m in Sweep.open(out / "small").members) < 2:
            assert time.monotonic() < deadline, "only one node works"
            time.sleep(0.05)
        cluster.remove_node(lost, allow_graceful=False)
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    assert "4 of 4 runs done" in told
    assert hashes(Sweep.open(out / "small")) == serial


@pytest.mark.slow
def test_a_killed_driver_leaves_what_the_same_command_goes_on_with(
    cluster: Cluster, tmp_path: Path, serial: dict[str, str]
) -> None:
    file, out = write(tmp_path), tmp_path / "out"
    words = ("sweep", file, "--out", str(out), "--engine", "ray", "--address", cluster.address)
    with command(*words) as process:
        wait_for(out, "0001/DONE")
        process.kill()
    with command(*words) as process:
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    assert hashes(Sweep.open(out / "small")) == serial


@pytest.mark.slow
def test_what_fits_on_no_node_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    settings = {**SETTINGS, "backend.threads": 64}
    file = Path(write(tmp_path))
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "set": settings}))
    with pytest.raises(StoreError, match=r"needs 64 of 'CPU', and the largest node .* has 1"):
        run_sweep(str(file), tmp_path / "out", Asked("ray", cluster.address))


def test_a_cluster_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="no Ray cluster answers there"):
        run_sweep(write(tmp_path), tmp_path / "out", Asked("ray", "127.0.0.1:1"))


@pytest.mark.slow
def test_two_commands_share_the_work(tmp_path: Path, serial: dict[str, str]) -> None:
    file, out = write(tmp_path), tmp_path / "out"
    words = ("sweep", file, "--out", str(out))
    with command(*words) as one, command(*words) as other:
        for process in (one, other):
            _, told = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, told
    sweep = Sweep.open(out / "small")
    assert hashes(sweep) == serial
    places = {(m.run.path / ".lock").read_text() for m in sweep.members}
    assert len(places) == 2  # a process of each played some


@pytest.mark.slow
def test_a_command_takes_over_what_another_one_leaves(
    tmp_path: Path, serial: dict[str, str]
) -> None:
    file, out = write(tmp_path), tmp_path / "out"
    words = ("sweep", file, "--out", str(out))
    with command(*words) as first:
        wait_for(out, "0000/DONE")
        with command(*words) as second:
            time.sleep(5)
            first.kill()
            _, told = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, told
    assert hashes(Sweep.open(out / "small")) == serial


@pytest.mark.slow
def test_shards_make_the_whole(tmp_path: Path, serial: dict[str, str]) -> None:
    file, out = write(tmp_path), tmp_path / "out"
    first = run_sweep(file, out, shard=Shard(1, 3))
    assert [member.finished for member in first.members] == [True, False, False, True]
    run_sweep(file, out, shard=Shard(2, 3))
    assert hashes(run_sweep(file, out, shard=Shard(3, 3))) == serial


def test_status_tells_states_places_and_what_is_left(tmp_path: Path) -> None:
    file, out = write(tmp_path), tmp_path / "out"
    sweep = run_sweep(file, out, shard=Shard(1, 4))
    stopped = sweep.members[1].run.path
    Run.create(stopped, {}, {})
    running = Run.create(sweep.members[2].run.path, {}, {})
    with running.locked():
        told = CliRunner().invoke(app, ["sweep", "status", str(sweep.path), "--json"]).output
        rows = json.loads(told)
        shown = CliRunner().invoke(app, ["sweep", "status", str(sweep.path)]).output
    assert [row["state"] for row in rows] == ["finished", "stopped", "running", "waiting"]
    assert rows[2]["place"].endswith(f"process {os.getpid()}")
    assert [row["rounds"] for row in rows] == [2, 0, 0, 0]
    assert "4 runs: 1 finished, 1 running, 1 stopped, 1 waiting; 6 rounds left, about" in shown


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "²/3", "1/99999"])
def test_shards_that_name_no_part_are_refused(shard: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["sweep", write(tmp_path), "--shard", shard])
    assert isinstance(result.exception, ScenarioError)
    assert str(result.exception) == "--shard: write I/N with I from 1 to N, such as 3/8"


SHARING: dict[str, Any] = {
    "name": "sharing",
    "share_server": True,
    "processes": 2,
    "set": {
        **{key: value for key, value in SETTINGS.items() if not key.startswith("backend")},
        "rounds": 1,
        "backend": {"kind": "vllm", "threads": 1, "arguments": ["--enforce-eager"]},
    },
    "over": {"seed": [0], "biased_frac": [0.0, 0.25, 0.5]},
    "arms": {"loop": {}},
}


@pytest.mark.vllm
@pytest.mark.timeout(900)
def test_runs_share_one_vllm_server(tmp_path: Path) -> None:
    """Each has its own adapters there, and finds the right one by the canary."""
    file, out = tmp_path / "sharing.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(SHARING))
    sweep = run_sweep(str(file), out)
    assert all(member.finished for member in sweep.members)
    assert (sweep.path / "server.log").is_file() and not list(out.glob("runs/*/server.log"))
    runs = [member.run for member in sweep.members]
    for run in runs:
        assert run.summary(1)["canary"]["verdict"] == "passed"
        assert run.manifest["server"] == "shared by the runs of a sweep"
        assert verify_run(run).damages == []
    assert len({served_name(adapter) for run in runs if (adapter := run.adapter(1))}) == 3
    assert not carried_by(os.getpid())  # the server is gone


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"set": {"backend": {"kind": "transformers"}}}, "only for vLLM servers that runs would"),
        ({"set": {"backend": {"kind": "vllm", "url": "http://x:1"}}}, "only for vLLM servers"),
        ({"set": {"backend": {"kind": "vllm", "adapters": "merged"}}}, "no run may merge its"),
        ({"over": {"base": [0, 1]}}, "runs differ in their model"),
    ],
)
def test_what_cannot_share_a_server_is_refused(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    file = tmp_path / "sharing.yaml"
    file.write_text(yaml.safe_dump({**SHARING, **changes}))
    with pytest.raises(ScenarioError, match=f"share_server: {told}"):
        run_sweep(str(file), tmp_path / "out")
    with pytest.raises(ScenarioError, match="--engine ray: nodes can't share a server"):
        run_sweep(str(file), tmp_path / "out", Asked("ray"))
