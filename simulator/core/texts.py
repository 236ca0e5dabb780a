"""Reading text files, and finding in texts what no tokenizer, table or terminal can take.

Bytes that aren't UTF-8, halves of characters (lone surrogates) and NUL characters are refused
everywhere, with file and line. Nothing is replaced: a changed text would be learned or asked.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator.core.errors import ScenarioError

_STRANGE = re.compile("[\x00\ud800-\udfff]")
_BYTES = range(0xDC80, 0xDD00)  # how Python's surrogateescape keeps bytes that aren't UTF-8
_MARKS = {  # the first bytes of files in other encodings
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
LONGEST_PATH, LONGEST_PART = 2_000, 200  # bytes: files beside a path have longer names
_SHOWN = 40  # characters around a flaw


def read_text(file: Path) -> str:
    """Return the text of a file; see `flaw` for bytes that aren't UTF-8.

    Raises:
        ScenarioError: it can't be read, or is in another encoding.
    """
    try:
        with file.open("rb") as opened:
            start = opened.read(4)
        encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "")
        if encoding:
            raise ScenarioError(f"{file}:1: is {encoding}, not UTF-8; save the file as UTF-8")
        # spreadsheets write a byte order mark, which utf-8-sig removes
        return file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        reason = getattr(error, "strerror", None) or error
        raise ScenarioError(f"{file}: can't be read as text ({reason})") from None


def read_flawless(file: Path) -> str:
    """Return the text of a file that must be flawless as a whole.

    Raises:
        ScenarioError: it can't be read, or has flaws; names every line with one.
    """
    text = read_text(file)
    if _STRANGE.search(text):
        lines = ((n, flaw(line)) for n, line in enumerate(text.split("\n"), 1))
        raise ScenarioError(*(f"{file}:{n}: {what}" for n, what in lines if what))
    return text


def flaw(text: str, *, escaped: bool = False) -> str:
    """Describe the first flaw of a text; empty if it has none.

    Args:
        text: as `read_text` returns it, or as it was written in escapes.
        escaped: whether it comes from escapes such as JSON's, which can't hold bytes.
    """
    found = _STRANGE.search(text)
    if found is None:
        return ""
    code = ord(found.group())
    around = _shown(text[max(found.start() - _SHOWN // 2, 0) : found.end() + _SHOWN // 2])
    if code == 0:
        return f"has a NUL character ({around}); remove it"
    if code in _BYTES and not escaped:
        byte = code - 0xDC00
        return f"has the byte 0x{byte:02x}, which isn't UTF-8 ({around}); write it in UTF-8"
    return f"has half of a character, \\u{code:04x} ({around}); write the whole one, or remove it"


def path_mistake(path: str) -> str:
    """Say that a path is longer than file systems take; empty if it isn't."""
    parts = [os.fsencode(part) for part in path.split("/")]
    if len(os.fsencode(path)) <= LONGEST_PATH and max(map(len, parts)) <= LONGEST_PART:
        return ""
    return f"too long for a path; at most {LONGEST_PATH:,} bytes, and {LONGEST_PART} for each part"


def flaw_within(value: Any, *, escaped: bool) -> str:
    """Describe the first flaw in the texts of nested lists and mappings; empty if none."""
    return next(filter(None, (flaw(text, escaped=escaped) for text in _texts(value))), "")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(key)
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def whole_characters(text: str) -> str:
    """Join the halves of characters that were escaped one by one, as JSON does."""
    if not _STRANGE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _shown(text: str) -> str:
    """Return a text in quotes in which nothing harms a terminal."""
    return ascii(text) if _STRANGE.search(text) else repr(text)
