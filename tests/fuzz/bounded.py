"""What every command promises, whatever a file holds: a sentence, soon, in little memory."""

import contextlib
import io
import os
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from simulator.core.errors import ScenarioError, UndertowError

SECONDS = 5.0  # of CPU
MEMORY = 2**30  # bytes, beside what was held before


class TooSlow(BaseException):
    """Not an Exception, so nothing on the way takes it for an error of its own."""


@contextlib.contextmanager
def bounds() -> Iterator[None]:
    """Raises TooSlow or MemoryError where the code inside takes too much."""

    def late(*_: Any) -> None:
        raise TooSlow

    signal.signal(signal.SIGPROF, late)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_held() + MEMORY, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, signal.SIG_IGN)  # first: it may be due just now
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _held() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def told(call: Callable[[], object]) -> list[str]:
    """The sentences of a refusal; none where the call succeeds. Any other error goes on."""
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    try:
        with bounds(), silent[0], silent[1], warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except UndertowError as error:
        return list(error.mistakes) if isinstance(error, ScenarioError) else [str(error)]
    return []


def check(call: Callable[[], object], *places: str) -> bool:
    """Returns whether the call was refused, after looking at what was said.

    Args:
        call: what is tried.
        places: one of them is in every sentence.
    """
    sentences = told(call)
    for sentence in sentences:
        assert sentence and "\n" not in sentence, f"not one line: {sentence!r}"
        assert any(place in sentence for place in places), f"no place: {sentence}"
    return bool(sentences)
