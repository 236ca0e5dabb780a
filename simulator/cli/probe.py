"""The command `probe`."""

from typing import Annotated

import typer

from simulator.cli.options import Override, RunPath, say


def probe(
    path: RunPath,
    probes: Annotated[str, typer.Option(help="Kinds of probes, separated by commas.")],
    overrides: Override = None,
) -> None:
    """Score a finished run later with other probes; `--set samples=32` changes their settings."""
    from simulator.evaluation.rescore import rescore

    say(rescore(path, probes.split(","), overrides or []))
