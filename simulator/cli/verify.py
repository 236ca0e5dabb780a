"""The command `verify`."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import say, usable


def verify(
    path: Annotated[
        Path, typer.Argument(help="The folder of a run, a sweep or a study.", callback=usable)
    ],
) -> None:
    """Check that runs are what was written, and that their numbers follow from what they stored."""
    from simulator.core.errors import StoreError
    from simulator.evaluation.verify import verify as verify_all

    damaged = 0
    for outcome in verify_all(path):
        for sentence in outcome.damages:
            say(sentence)
        say(outcome.words)
        damaged += bool(outcome.damages)
    if damaged:
        raise StoreError(f"{path}: {damaged} damaged run{'s' if damaged > 1 else ''}")
