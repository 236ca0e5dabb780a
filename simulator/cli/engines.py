"""Options that say where the runs of a sweep or a study are played."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from simulator.experiments.executors import Asked

Processes = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto", help="Runs at a time on this machine; default: as the file says."
    ),
]
Kind = Annotated[
    Literal["pool", "ray"], typer.Option("--engine", help="Processes of this machine, or Ray.")
]
Address = Annotated[
    str | None,
    typer.Option(help="Of a running Ray cluster, or auto; default: one on this machine."),
]
MOST = 1000


def asked_of(kind: Literal["pool", "ray"], address: str | None, processes: str | None) -> "Asked":
    """Return where somebody wants the runs played.

    Raises:
        ScenarioError: the options don't go together.
    """
    from simulator.core.errors import ScenarioError
    from simulator.experiments.executors import Asked

    if kind == "ray":
        if processes is not None:
            raise ScenarioError(
                "--processes: Ray counts cores, GPUs and memory itself; leave it out"
            )
        return Asked("ray", address)
    if address is not None:
        raise ScenarioError("--address: only for --engine ray")
    if processes is None:
        return Asked()
    if processes == "auto":
        return Asked(processes="auto")
    if not processes.isascii() or not processes.isdigit() or not 1 <= int(processes) <= MOST:
        raise ScenarioError(f"--processes: give a number from 1 to {MOST}, or auto")
    return Asked(processes=int(processes))
