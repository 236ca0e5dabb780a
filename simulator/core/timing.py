"""The time of a run by activity, and its progress."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.core.progress import Progress


class Stopwatch:
    """Adds up wall seconds by activity; activities may nest, as `model` in `probes`."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.tokens = 0  # generated
        self.progress = Progress()
        self._last_snapshot = time.perf_counter()
        self._snapshot_seconds: dict[str, float] = {}

    @contextmanager
    def timing(self, activity: str) -> Iterator[None]:
        """Add the time of the `with` block to `activity`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[activity] += time.perf_counter() - start

    def wrote(self, tokens: int) -> None:
        """Count tokens that an engine has just generated."""
        self.tokens += tokens
        self.progress.wrote(tokens)

    def answered(self, requests: int) -> None:
        """Count requests, or samples of one, that an engine has just answered."""
        self.progress.answered(requests)

    def snapshot(self) -> dict[str, float]:
        """Return the seconds by activity, and the wall time, since the last snapshot."""
        now, before = time.perf_counter(), self._snapshot_seconds
        spent = {name: total - before.get(name, 0.0) for name, total in self.seconds.items()}
        counts = {"wall": now - self._last_snapshot, **spent}
        self._last_snapshot, self._snapshot_seconds = now, dict(self.seconds)
        return counts
