"""HTML pages: templates and escaped text."""

from pathlib import Path
from typing import TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from simulator.core.credentials import redacted
from simulator.core.terminal import UNSEEN

TEMPLATES = Path(__file__).parent / "templates"
T = TypeVar("T")


def environment() -> Environment:
    """Return the environment of the templates, which escape all values."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def visible(value: T) -> T | str:
    """Make invisible characters visible, such as marks of text direction, and hide secrets."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", redacted(value))
