"""Options that say where the runs of a sweep or a study are played."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from simulator.experiments.executors import Engine

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


def engine_of(
    kind: Literal["pool", "ray"], address: str | None, processes: str | None
) -> "Engine | None":
    """Return the engine that somebody asked for; None: as the file says.

    Raises:
        ScenarioError: the options don't go together.
    """
    from simulator.core.errors import ScenarioError
    from simulator.experiments.executors import Engine

    if kind == "ray":
        if processes is not None:
            raise ScenarioError(
                "--processes: Ray counts cores, GPUs and memory itself; leave it out"
            )
        return Engine("ray", address)
    if address is not None:
        raise ScenarioError("--address: only for --engine ray")
    if processes is None:
        return None
    if processes == "auto":
        return Engine(processes="auto")
    if not processes.isascii() or not processes.isdigit() or not 1 <= int(processes) <= MOST:
        raise ScenarioError(f"--processes: give a number from 1 to {MOST}, or auto")
    return Engine(processes=int(processes))
