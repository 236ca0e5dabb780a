"""What a person sees in the terminal. Progress goes to stderr, results to stdout."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

STDERR = Console(stderr=True)


def inert(text: str) -> Text:
    """Returns model or user text without markup or control characters, safe to print."""
    return Text("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def say(what: object) -> None:
    """Prints a sentence or a table, in which nothing is markup, to stdout."""
    Console(soft_wrap=isinstance(what, str)).print(what, markup=False, highlight=False)


class LiveProgress:
    """Shows rounds, the stage, conversations and tokens per second, and the current honesty."""

    def __init__(self, rounds: int) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} rounds"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[rates]}"),
            TextColumn("{task.fields[honesty]}"),
            console=STDERR,
            transient=not STDERR.is_terminal,
        )
        self._task = self._progress.add_task("loading", total=rounds, rates="", honesty="")
        self._entered = time.perf_counter()
        self._held = self._tokens = self._tokens_before = 0

    def __enter__(self) -> "LiveProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, number: int, what: str) -> None:
        """A round enters a stage; the first one makes the bar appear."""
        self._progress.start()
        self._entered, self._held, self._tokens_before = time.perf_counter(), 0, self._tokens
        self._progress.update(self._task, description=f"round {number}: {what}", rates="")

    def wave(self, conversations: int, tokens: int) -> None:
        """A wave is done."""
        seconds = max(time.perf_counter() - self._entered, 1e-6)
        self._held, self._tokens = self._held + conversations, tokens
        per_second = (self._tokens - self._tokens_before) / seconds
        rates = f"{self._held / seconds:,.0f} conversations/s, {per_second:,.0f} tokens/s"
        self._progress.update(self._task, rates=rates)

    def round(self, number: int, summary: dict[str, Any]) -> None:
        """A round is committed."""
        honesty = [
            f"{e['item_set']} {e['value']:.2f}"
            for e in summary["estimates"]
            if e["metric"] == "honesty" and e["value"] is not None
        ]
        shown = f"honest under pressure: {', '.join(honesty)}" if honesty else ""
        self._progress.update(self._task, completed=number, honesty=shown)
