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
    from analysis.run.summary import rounds_table
    from simulator.evaluation.rescore import rescore
    from simulator.store.run import Run

    found = rescore(path, probes.split(","), overrides or [])
    say(rounds_table(Run.open(path), found.estimates))
    say(f"kept in {found.folder}")
