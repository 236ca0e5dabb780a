"""The command line as a process of its own: to be waited for, or killed on the way."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from simulator.backends.server_process import end_leftovers
from tests.helpers.processes import carried_by


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "simulator", *words]


@contextlib.contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a command meanwhile; nothing of it is left afterwards, whatever happens."""
    process = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        end_leftovers()


def reach(process: subprocess.Popen[str], reached: Callable[[], bool], seconds: float) -> None:
    """Waits until a command has got so far, for so long at most."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert process.poll() is None and time.monotonic() < deadline, "it never got there"
        time.sleep(0.002)


def finish(process: subprocess.Popen[str], seconds: float) -> None:
    """Waits until a command has ended well; then it has ended all that it started."""
    _, stderr = process.communicate(timeout=seconds)
    assert process.returncode == 0, stderr
    assert not carried_by(process.pid)
