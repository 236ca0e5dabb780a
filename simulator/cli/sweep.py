"""The command `sweep`."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import say, usable
from simulator.cli.report import Places, write_sweep_pages


def sweep(
    file: Annotated[str, typer.Argument(help="A YAML file that lists the runs.")],
    out: Annotated[
        Path | None, typer.Option(help="Where sweeps are kept; default: sweeps.", callback=usable)
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, max=1000, help="Runs at a time.")] = None,
) -> None:
    """Run many scenarios; finished runs are reused, unfinished ones resumed."""
    from analysis.sweep.summary import headline, summary_table
    from simulator.experiments.sweep import run_sweep

    done = run_sweep(file, out, processes)
    written = write_sweep_pages(done.path, Places.in_sweep(done.path))
    say(summary_table(done))
    say(headline(done))
    say(f"see {' and '.join(map(str, written))}")
