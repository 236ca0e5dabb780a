"""The command `sweep`, and `sweep status`."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.engines import Address, Kind, Processes, asked_of
from simulator.cli.options import AsJson, say, usable
from simulator.cli.report import Places, write_sweep_pages

if TYPE_CHECKING:
    from simulator.experiments.sweep import Shard
    from simulator.store.sweep import Sweep

STATUS = "status"


def sweep(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|status FOLDER",
            help="A YAML file that lists the runs; or `status` and a sweep's folder.",
        ),
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", callback=usable, hidden=True)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where sweeps are kept; default: sweeps.", callback=usable)
    ] = None,
    processes: Processes = None,
    engine: Kind = "pool",
    address: Address = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Every N-th run from the I-th on, for job arrays."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run many scenarios; finished runs are reused, unfinished ones resumed."""
    from simulator.core.errors import ScenarioError

    if file == STATUS:
        if folder is None:
            raise ScenarioError("give a sweep's folder: sweep status sweeps/NAME")
        _tell_status(folder, as_json=as_json)
    elif folder is not None or as_json:
        raise ScenarioError("give one sweep file; a folder and --json go with 'sweep status'")
    else:
        from simulator.experiments.sweep import run_sweep

        asked = asked_of(engine, address, processes)
        _tell_results(run_sweep(file, out, asked, _shard(shard)))


def _shard(text: str | None) -> "Shard":
    """Return the part of the runs that `I/N` names.

    Raises:
        ScenarioError: it names none.
    """
    from simulator.core.errors import ScenarioError
    from simulator.experiments.sweep import ALL, Shard

    if text is None:
        return ALL
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ScenarioError("--shard: write I/N with I from 1 to N, such as 3/8")
    return Shard(int(found[1]), int(found[2]))


def _tell_results(done: "Sweep") -> None:
    """Print what a sweep found, or how far it is where other commands still work on it."""
    from analysis.sweep.summary import headline, summary_table

    if not all(member.finished for member in done.members):
        _tell_status(done.path, as_json=False)
        return
    written = write_sweep_pages(done.path, Places.in_sweep(done.path))
    say(summary_table(done))
    say(headline(done))
    say(f"see {' and '.join(map(str, written))}")


def _tell_status(folder: Path, *, as_json: bool) -> None:
    from simulator.experiments.sweep_status import left, status_rows, status_table
    from simulator.store.sweep import Sweep

    rows = status_rows(Sweep.open(folder))
    if as_json:
        say(json.dumps([row._asdict() for row in rows], indent=1))
        return
    say(status_table(rows))
    say(left(rows))
