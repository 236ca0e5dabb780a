"""The lock of a run's folder. It ends with the process that holds it, whatever ends that."""

import fcntl
import os
import platform
import time
from pathlib import Path
from typing import IO

from simulator.core.errors import TakenError
from simulator.core.files import private

LOCK = ".lock"
TRIES = 3  # somebody who asks for the holder has the lock for an instant
PAUSE = 0.02  # seconds


def hold(folder: Path) -> IO[str]:
    """Return the open file that holds the lock, and says who holds it.

    Raises:
        TakenError: another process holds it.
    """
    file = os.fdopen(private(f"{folder / LOCK}", os.O_WRONLY | os.O_CREAT), "w")
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE)
            continue
        file.truncate(0)
        file.write(f"{platform.node()}, process {os.getpid()}\n")
        file.flush()
        return file
    file.close()
    raise TakenError(f"{folder}: another process is working on this run")


def holder(folder: Path) -> str | None:
    """Return who holds the lock: the machine and the process; None: nobody."""
    try:
        with (folder / LOCK).open(errors="replace") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "unknown"
    except FileNotFoundError:
        pass
    return None
