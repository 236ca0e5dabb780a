"""The log of a server that we start: its output, without the secrets that it may print."""

import contextlib
import re
from pathlib import Path
from threading import Thread
from typing import IO

from simulator.core.credentials import redacted
from simulator.core.files import make_folder, private
from simulator.core.terminal import harmless

_TELLING = re.compile(r"(?:Error|Exception)\b|\berror:")


class ServerLog:
    """Appends the output of a process to a file, line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        with open(path, "ab", opener=private):  # it can be written
            self._thread: Thread | None = None

    def follow(self, output: IO[bytes]) -> None:
        """Write what comes, in a thread, until the process and its children have ended."""
        self._thread = Thread(target=self._copy, args=(output,), daemon=True)
        self._thread.start()

    def _copy(self, output: IO[bytes]) -> None:
        with open(self.path, "ab", buffering=0, opener=private) as file, output:
            for line in output:
                # Whatever becomes of the file, a full pipe would stop the server.
                with contextlib.suppress(OSError):
                    file.write(redacted(line.decode(errors="replace")).encode())

    def finish(self, seconds: float) -> None:
        """Wait until all is written, for at most so many seconds: a child may hold the output."""
        if self._thread is not None:
            self._thread.join(seconds)

    def last_words(self) -> str:
        """Return the last line that speaks of an error, or else the last one; may be empty."""
        text = self.path.read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if _TELLING.search(line)]
        return harmless((telling or lines or [""])[-1])
