"""Output to the terminal. Progress goes to stderr, results to stdout."""

from collections.abc import Iterable
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from simulator.core.terminal import Guarded, harmless, without_controls


class InertConsole(Console):
    """A console that writes its own styles, and nothing else that a terminal obeys."""

    @property
    def file(self) -> IO[str]:
        """The stream; a guarded one would refuse our styles."""
        stream = super().file
        return stream.stream if isinstance(stream, Guarded) else stream

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render, with `�` for control characters within texts."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(without_controls(text), style)


STDERR = InertConsole(stderr=True)


def inert(text: str) -> Text:
    """Return model or user text without markup, control characters or secrets, safe to print."""
    return Text(harmless(text))


def say(what: object) -> None:
    """Print a sentence or a table to stdout, without reading markup."""
    InertConsole(soft_wrap=isinstance(what, str)).print(what, markup=False, highlight=False)
