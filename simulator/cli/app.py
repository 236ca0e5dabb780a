"""The command line: every command, each from its own file.

Heavy modules are imported inside the commands, which keeps `--help` fast.
"""

from typing import Annotated

import typer

from simulator import __version__
from simulator.cli.chat import chat
from simulator.cli.evaluate import evaluate
from simulator.cli.judge_check import judge_check
from simulator.cli.models import models
from simulator.cli.options import show_ours_plainly
from simulator.cli.organism import organism
from simulator.cli.probe import probe
from simulator.cli.report import report, show
from simulator.cli.run import finetune, resume, run
from simulator.cli.study import study
from simulator.cli.sweep import sweep
from simulator.cli.validate import schema, validate
from simulator.cli.verify import verify

COMMANDS = (
    run,
    study,
    sweep,
    finetune,
    resume,
    show,
    report,
    chat,
    probe,
    evaluate,
    judge_check,
    verify,
    validate,
    schema,
)

app = typer.Typer(
    help="Undertow: what becomes of an assistant that keeps learning from its users.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(organism, name="organism", no_args_is_help=True)
app.add_typer(models, name="models")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"undertow {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Apply the options of every command."""
    show_ours_plainly()
