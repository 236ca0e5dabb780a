"""Mistakes in how a command is called: one line each, like all other errors."""

from typing import Any

import typer

from simulator.core.terminal import harmless, one_line

# The base of all such errors, which has no public name of typer's own.
UsageMistake: Any = typer.BadParameter.mro()[1]


def told(mistake: Any) -> str:
    """Return what is wrong and where help is; the help itself for a command without arguments."""
    message = mistake.format_message()
    if "\n" in message.strip():
        return harmless(message)
    place = mistake.ctx.command_path if mistake.ctx else "python -m simulator"
    return one_line(f"error: {message.rstrip('.')}; see '{place} --help'")
