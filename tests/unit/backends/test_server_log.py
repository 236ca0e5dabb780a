"""The log of a server: all that it says but secrets, for its owner alone."""

import subprocess
import sys
from pathlib import Path

from simulator.backends.server_log import ServerLog
from simulator.core.credentials import keep_secret


def logged(path: Path, code: str) -> ServerLog:
    log = ServerLog(path)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    log.follow(process.stdout)
    process.wait()
    log.finish(10)
    return log


def test_all_is_written_without_secrets(tmp_path: Path) -> None:
    keep_secret("planted-in-a-log")
    path = tmp_path / "logs" / "server.log"
    logged(path, "print('key planted-in-a-log'); print('x' * 100_000)")
    logged(path, "import os; os.write(1, b'\\xff\\n'); print('the end', end='')")
    assert path.read_text() == f"key ***\n{'x' * 100_000}\n�\nthe end"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_last_words_are_those_of_an_error(tmp_path: Path) -> None:
    code = "print('ValueError: no such \\x1b[31m model'); print('shutting down'); print()"
    assert logged(tmp_path / "a", code).last_words() == "ValueError: no such �[31m model"
    assert logged(tmp_path / "b", "print('first'); print('last')").last_words() == "last"
    assert logged(tmp_path / "c", "").last_words() == ""
