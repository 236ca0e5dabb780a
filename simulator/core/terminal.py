"""What reaches a terminal: no escape sequences from outside, no secrets, errors of one line.

Models, servers, file names and files can hold anything. A terminal obeys control characters, and
marks of text direction make it show what isn't there.
"""

import re
import sys
from typing import Any, TextIO

from simulator.core.credentials import masked, redacted
from simulator.core.errors import UndertowError

LONGEST = 300  # characters of an error
_END = 120  # of them for its end, which says what to do
# Control characters but tabs and line ends; marks of direction; separators of lines; lone
# surrogates, which can't be written to a file; invisible characters but those that join emoji.
UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2061-\u206f\ud800-\udfff"
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def without_controls(text: str) -> str:
    """Return a text with `�` for all that a terminal would obey."""
    return UNSEEN.sub("�", text).replace("\r\n", "\n").replace("\r", "�")


def harmless(text: str) -> str:
    """Return a text without known secrets, and with `�` for all that a terminal would obey."""
    return without_controls(redacted(text))


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return a message as one line of limited length; a long one loses its middle."""
    line = " ".join(harmless(masked(text)).split())
    if len(line) <= longest:
        return line
    return f"{line[: longest - _END - 3].rstrip()} … {line[-_END:].lstrip()}"


def shown(error: UndertowError) -> str:
    """Return an error as the terminal shows it: a line, or one for each mistake."""
    first, *others = error.lines
    below = (f"  {one_line(line, LONGEST - 2)}" for line in others)
    return "\n".join([one_line(f"error: {first}"), *below])


class Guarded:
    """A stream to the terminal, through which nothing harmful goes, whoever writes it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text made harmless; a progress bar may go back to the start of its line."""
        back = "\r" * text.startswith("\r")
        self.stream.write(back + harmless(text[len(back) :]))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard_streams() -> None:
    """Guard stdout and stderr: warnings of libraries, tracebacks, messages on wrong options."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Guarded):
            setattr(sys, name, Guarded(stream))
