"""Errors for users: each says what is wrong, where, and how to fix it."""

import difflib
from collections.abc import Iterable

from simulator.core.credentials import masked

LONGEST_LIST = 20  # mistakes in one message
LONGEST_NAME = 80  # characters of a name in a message
LONGEST_CHOICE = 12  # names listed beside a suggestion


def _in_one_line(mistake: str) -> str:
    """Return a mistake in one line, though a text that it quotes may have several."""
    return " ".join(filter(None, map(str.strip, mistake.splitlines())))


class UndertowError(Exception):
    """Base of all errors that the command line prints without a traceback.

    They hold no secrets, and are one line, whatever they quote.
    """

    exit_code = 2

    def __init__(self, *args: object) -> None:
        told = (masked(_in_one_line(arg)) if isinstance(arg, str) else arg for arg in args)
        super().__init__(*told)

    @property
    def lines(self) -> tuple[str, ...]:
        """What is printed, a line each."""
        return (str(self),)


class Interrupted(UndertowError):
    """The user pressed Ctrl-C; committed work is kept."""

    exit_code = 130


class CostCapReached(UndertowError):
    """Endpoints have reached the scenario's cost limit; committed work is kept."""

    exit_code = 3


class ScenarioError(UndertowError, ValueError):
    """A scenario, or an override of it, can't be used: one or more mistakes, a line each."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__(*mistakes)
        self.mistakes: tuple[str, ...] = tuple(dict.fromkeys(self.args))

    def __str__(self) -> str:
        return "\n  ".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """The mistake; or else their number, and each of the first ones."""
        if len(self.mistakes) == 1:
            return self.mistakes
        shown = self.mistakes[:LONGEST_LIST]
        more = len(self.mistakes) - len(shown)
        rest = (f"and {more} more",) if more else ()
        return (f"{len(self.mistakes)} mistakes:", *shown, *rest)

    def within(self, place: str) -> "ScenarioError":
        """Return the same mistakes, each with a place put before it."""
        return ScenarioError(*(f"{place}: {mistake}" for mistake in self.mistakes))


class StoreError(UndertowError, OSError):
    """A run directory can't be written, read or continued."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "the run directory can't be used"


class TakenError(StoreError):
    """Another process made a run's directory just now, or works on the run."""


class BackendError(UndertowError, RuntimeError):
    """A model can't be loaded, or can't do what was asked of it."""


class LearnerError(UndertowError, RuntimeError):
    """An update can't be made or didn't take effect."""


class Diverged(LearnerError):
    """An update's loss or parameters are no longer finite, or its replies can't be read."""


class EndpointWarning(UserWarning):
    """An endpoint doesn't do what is asked of it, and the run goes on otherwise."""


class RenamedWarning(FutureWarning):
    """A file uses a former name, which still works."""


def shortened(text: object) -> str:
    """Return a name as a message shows it: in one line, without most of a long one."""
    line = " ".join(str(text).split())
    return line if len(line) <= LONGEST_NAME else f"{line[:LONGEST_NAME]}…"


def unknown(what: str, name: object, available: Iterable[object]) -> str:
    """Return the message for an unknown name: the available names, and a suggestion."""
    names = [str(one) or "''" for one in available]
    name = shortened(name)
    close = difflib.get_close_matches(name, names, n=1)
    if close and len(names) > LONGEST_CHOICE:
        return f"unknown {what} '{name}'; did you mean '{close[0]}'?"
    meant = f" (did you mean '{close[0]}'?)" if close else ""
    return f"unknown {what} '{name}'{meant}; available: {', '.join(names) or 'none'}"
