"""Answers of endpoints since the last commit: paid for, so a failure must not lose them.

Each is a line of a file, written as soon as the answer has come. A process that continues a killed
one reads them, and asks an endpoint only what isn't there. A commit removes the file.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.core.files import append_line, explained, lines_of
from simulator.store.shapes import PaidAnswer, checked_lines


class PaidAnswers:
    """The file of a run's answers that aren't committed yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._earlier: defaultdict[str, list[Any]] = defaultdict(list)
        for line in reversed(checked_lines(path, lines_of(path), PaidAnswer)):
            self._earlier[line["key"]].append(line["answer"])

    def recall(self, key: str) -> Mapping[str, Any] | None:
        """Return an answer of an earlier process to this request, each one once."""
        answers = self._earlier.get(key)
        return answers.pop() if answers else None

    def keep(self, key: str, answer: Mapping[str, Any]) -> None:
        """Write an answer down."""
        append_line(self._path, {"key": key, "answer": answer})

    def clear(self) -> None:
        """Forget all of them: what they led to is committed."""
        self._earlier.clear()
        with explained(self._path):
            self._path.unlink(missing_ok=True)
