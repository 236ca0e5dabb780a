"""Where the time of a run goes: one clock per activity, and counters for rates."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up wall seconds by activity."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.tokens = 0  # generated
        self._lap_start = time.perf_counter()
        self._lap_seconds: dict[str, float] = {}

    @contextmanager
    def timing(self, activity: str) -> Iterator[None]:
        """Adds the time of the `with` block to `activity`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[activity] += time.perf_counter() - start

    def lap(self) -> dict[str, float]:
        """Returns the seconds by activity, and the wall time, since the last lap."""
        now, before = time.perf_counter(), self._lap_seconds
        spent = {name: total - before.get(name, 0.0) for name, total in self.seconds.items()}
        lap = {"wall": now - self._lap_start, **spent}
        self._lap_start, self._lap_seconds = now, dict(self.seconds)
        return lap
