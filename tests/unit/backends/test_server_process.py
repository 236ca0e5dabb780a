"""The life of a server process, on small ones: start, failure, end, and what a kill leaves."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from simulator.backends import server_process
from simulator.backends import server_process as server_module
from simulator.backends.server_process import Server, end_leftovers
from simulator.core.errors import BackendError
from tests.helpers.processes import carried_by

# It writes over the beginning of its environment, as a process does that sets its title.
CHILD = """
import ctypes, pathlib, time
fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
ctypes.memset(int(fields[47]), 0, 64)  # env_start
time.sleep(600)
"""
# A server with a child that outlives it unless the whole group is ended.
HEALTHY = f"""
import http.server, os, subprocess, sys
print("the key is", os.environ["KEY"], flush=True)
subprocess.Popen([sys.executable, "-c", {CHILD!r}])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" and len(os.environ["KEY"]) > 20 else 404)
        self.end_headers()
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
OWNER_SCRIPT = """
import sys, time
from pathlib import Path
from tests.unit.backends.test_server_process import start
start(Path(sys.argv[1]))
print("ready", flush=True)
time.sleep(600)
"""


def start(folder: Path, code: str = HEALTHY, ready_within: float = 60) -> Server:
    def command(host: str, port: int) -> Sequence[str]:
        return [sys.executable, "-c", code, host, str(port)]

    return Server(
        command,
        environment={},
        key_variable="KEY",
        log=folder / "logs" / "server.log",
        ready_within=ready_within,
    )


def own() -> list[psutil.Process]:
    return carried_by(psutil.Process().pid)


def test_a_server_ends_with_all_its_children(tmp_path: Path) -> None:
    server = start(tmp_path)
    assert server.running and server.url.startswith("http://127.0.0.1:")
    assert len(own()) == 2
    assert all(server.key not in " ".join(process.cmdline()) for process in own())
    server.stop()
    assert server.log.path.read_text().startswith("the key is ***\n")
    assert not server.running and not own()
    server.stop()  # twice is no mistake


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"ended with code 3: no such model �\[31m \(see "):
        start(tmp_path, "import sys; print('no such model \\x1b[31m'); sys.exit(3)")
    assert not own()


def test_a_server_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="wasn't ready within 1 s"):
        start(tmp_path, "import time; time.sleep(600)", ready_within=1)
    assert not own()


def test_what_a_killed_owner_left_is_ended_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = start(tmp_path / "mine")
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER_SCRIPT, str(tmp_path / "theirs")], stdout=subprocess.PIPE
    )
    assert owner.stdout is not None and owner.stdout.readline() == b"ready\n"
    left = carried_by(owner.pid)
    assert len(left) == 2
    assert end_leftovers() == 0  # their owner lives
    owner.kill()
    owner.wait()
    with monkeypatch.context() as elsewhere:  # as seen from outside a container
        elsewhere.setattr(server_process, "_namespace", lambda pid: f"of {pid}")
        assert end_leftovers() == 0  # its owner has a number of its own there, and may live
    assert all(process.is_running() for process in left)
    assert end_leftovers() == 2
    deadline = time.monotonic() + 10
    while carried_by(owner.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not carried_by(owner.pid)
    assert mine.running and len(own()) == 2
    mine.stop()


def test_an_owner_is_told_by_when_it_started_whatever_the_clock_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identity = server_module._identity()
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 0.0)  # somebody set the clock
    assert server_module._lives(identity)
    pid, _, started = identity.partition(":")
    assert not server_module._lives(f"{pid}:{int(started) + 1}")  # the number was given again
    assert not any(map(server_module._lives, ("", "x:1", "999999999:1", f"{pid}:", pid)))
