"""A server process that we start, watch and stop.

It has its own process group, listens on loopback only, and requires a random key, which it gets by
its environment and which is stored nowhere. Each of its processes has its owner's identity in the
environment, so the next start finds what a killed owner left running.
"""

import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

import psutil

from simulator.backends.server_log import ServerLog
from simulator.core.credentials import keep_secret
from simulator.core.errors import BackendError

OWNER = "UNDERTOW_SERVER_OWNER"  # environment variable: "<pid>:<start time>" of the owner
HOST = "127.0.0.1"
GRACE = 10.0  # seconds between asking a server to exit and killing it
WRITING = 2.0  # seconds for the rest of its output


class Server:
    """A running server process with its children."""

    def __init__(
        self,
        command: Callable[[str, int], Sequence[str]],
        *,
        environment: Mapping[str, str],
        key_variable: str,
        log: Path,
        ready_within: float,
        on_wait: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """Start a server and wait until it is healthy.

        Args:
            command: returns the command line, given host and port.
            environment: is added to ours.
            key_variable: the environment variable that gives the server its key.
            log: the file for the server's output, which is appended without secrets.
            ready_within: seconds until a server that isn't healthy is stopped.
            on_wait: is called now and then with the seconds that we have waited.

        Raises:
            BackendError: the server exited, or wasn't ready in time; quotes its log.
        """
        end_leftovers()
        self.key, self._port = secrets.token_urlsafe(24), _free_port()
        keep_secret(self.key)
        self.log = ServerLog(log)
        self._process = subprocess.Popen(  # noqa: S603  # no shell
            command(HOST, self._port),
            env={**os.environ, **environment, key_variable: self.key, OWNER: _identity()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.log.follow(self._process.stdout)
        try:
            self._wait_until_healthy(ready_within, on_wait)
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://{HOST}:{self._port}"

    @property
    def running(self) -> bool:
        """Whether the server is still running."""
        return self._process.poll() is None

    def wait_for_exit(self, seconds: float) -> None:
        """Wait for the server to exit, for at most so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def stop(self) -> None:
        """Stop the whole process group: by SIGTERM, then by SIGKILL."""
        group = self._process.pid
        _signal_group(group, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while list(_members(group)) and time.monotonic() < deadline:
            self._process.poll()  # a child that isn't waited for stays a member
            time.sleep(0.05)
        _signal_group(group, signal.SIGKILL)
        self._process.wait()
        self.log.finish(WRITING)

    def failure(self, what: str) -> BackendError:
        """Return an error that quotes the log, and names it."""
        if not self.running:
            self.log.finish(WRITING)
        said = self.log.last_words() or "its log is empty"
        return BackendError(f"{what}: {said} (see {self.log.path})")

    def _wait_until_healthy(self, seconds: float, on_wait: Callable[[float], None]) -> None:
        started = time.monotonic()
        while (waited := time.monotonic() - started) < seconds:
            if not self.running:
                raise self.failure(f"the server ended with code {self._process.returncode}")
            if _healthy(self._port):
                return
            on_wait(waited)
            time.sleep(0.2)
        raise self.failure(f"the server wasn't ready within {seconds:.0f} s")


def end_leftovers() -> int:
    """Stop servers whose owner is gone, and return the number of their processes.

    Processes of other PID namespaces, as of containers, are left alone: their owners have numbers
    of their own there.
    """
    here = _namespace("self")
    orphans = [
        process
        for process in psutil.process_iter()
        if (owner := owner_of(process.pid))
        and not _lives(owner)
        and _namespace(process.pid) == here
    ]
    for process in orphans:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(orphans, timeout=GRACE)
    return len(orphans)


def owner_of(pid: int) -> str | None:
    """Return the owner named in the environment of a process of this user, or None.

    A process that sets its title overwrites the beginning of its environment. So all of the rest is
    searched, and our entry is the last one that a server gets.
    """
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it is gone, or another user's
        return None
    start = f"{OWNER}=".encode()
    entries = (entry for entry in environment.split(b"\0") if entry.startswith(start))
    return next((entry.removeprefix(start).decode() for entry in entries), None)


def _namespace(pid: int | str) -> str | None:
    """Return the PID namespace of a process."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def _identity() -> str:
    return f"{os.getpid()}:{_started(os.getpid())}"


def _lives(identity: str) -> bool:
    pid, _, started = identity.partition(":")
    return pid.isdigit() and started != "" and _started(int(pid)) == started


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since boot, which setting the clock can't change."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]  # field 22; a name in brackets may hold anything


def _members(group: int) -> Iterator[int]:
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                yield pid
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)  # without a proxy
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
