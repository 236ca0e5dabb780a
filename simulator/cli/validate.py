"""The commands `validate` and `schema`."""

import json
from typing import Annotated, Literal

import typer

from simulator.cli.options import Model, Override, notify, say

File = Annotated[
    str, typer.Argument(help="A YAML file, or the name of a shipped scenario or study.")
]
Kind = Annotated[
    Literal["scenario", "sweep", "study", "situations"],
    typer.Argument(help="Which kind of file."),
]


def validate(file: File, model: Model = None, overrides: Override = None) -> None:
    """Check a scenario, a sweep, a study or a file of situations without running it."""
    from simulator.cli.schemas import check

    chosen = [] if model is None else [f"model={json.dumps(model)}"]
    say(f"{file}: valid ({check(file, [*chosen, *(overrides or ())], notify)})")


def schema(of: Kind = "scenario") -> None:
    """Print the JSON Schema of a kind of file, for editors."""
    from simulator.cli.schemas import schema as schema_of

    typer.echo(json.dumps(schema_of(of), indent=1))
