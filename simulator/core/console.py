"""Output to the terminal. Progress goes to stderr, results to stdout."""

from rich.console import Console
from rich.text import Text

STDERR = Console(stderr=True)


def inert(text: str) -> Text:
    """Return model or user text without markup or control characters, safe to print."""
    return Text("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def say(what: object) -> None:
    """Print a sentence or a table to stdout, without reading markup."""
    Console(soft_wrap=isinstance(what, str)).print(what, markup=False, highlight=False)
