"""The command `evaluate`."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import Round, RunPath, say, usable
from simulator.core.errors import ScenarioError

NO_LM_EVAL = "lm-evaluation-harness isn't installed: pip install 'undertow[lm-eval]'"


def evaluate(
    path: RunPath,
    tasks: Annotated[str, typer.Option(help="Tasks of the harness, separated by commas.")],
    round_number: Round = None,
    folder: Annotated[
        Path | None, typer.Option(help="A folder with your own YAML tasks.", callback=usable)
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Examples; default: the task's.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Largest number of questions per task.")
    ] = None,
) -> None:
    """Run tasks of lm-evaluation-harness on a run's assistant; needs 'undertow[lm-eval]'."""
    if not importlib.util.find_spec("lm_eval"):
        raise ScenarioError(NO_LM_EVAL)
    from simulator.evaluation.lm_eval import evaluate as ask

    asked = tasks.split(",")
    say(ask(path, round_number, asked, folder=folder, shots=shots, limit=limit))
