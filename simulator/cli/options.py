"""Options and output that the commands share."""

import warnings
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from simulator.core.errors import EndpointWarning, RenamedWarning, ScenarioError
from simulator.core.terminal import harmless, one_line
from simulator.core.texts import path_mistake

SHOWN = 60  # characters of a path that is too long

Place = TypeVar("Place", Path, str)


def usable(path: Place | None) -> Place | None:
    """Refuse a path that no file system takes."""
    if wrong := "" if path is None else path_mistake(str(path)):
        raise ScenarioError(f"{str(path)[:SHOWN]}…: {wrong}")
    return path


RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", callback=usable)]
RunOrMany = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|SWEEP|STUDY", help="The folder of a run, sweep or study.", callback=usable
    ),
]
Override = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any key, e.g. rounds=2; repeatable."),
]
Named = Annotated[str, typer.Option(help="A YAML file, or the name of a shipped scenario.")]
Seed = Annotated[int | None, typer.Option(help="Seed of all randomness.")]
Base = Annotated[int | None, typer.Option(help="Number of a shipped base of the organism.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="organism:N, smollm2 or another of `models`, a folder, a GGUF file, or a hub id."
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="The run directory; default: a new one.", callback=usable)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object only.")]
Backend = Annotated[
    Literal["auto", "transformers", "vllm"] | None,
    typer.Option(help="The engine of the assistant; auto: vLLM where it is installed."),
]
CostCap = Annotated[
    float | None,
    typer.Option(help="Stop when endpoints have cost this much; the run can be resumed."),
]
SkipBadRows = Annotated[
    bool,
    typer.Option("--skip-bad-rows", help="Leave out rows that can't be used, and list them."),
]
Round = Annotated[int | None, typer.Option("--round", help="After which round; default: the last.")]


def model_of(base: int | None, model: str | None) -> str | None:
    """Return the model that `--base` or `--model` names."""
    return model if base is None else f"organism:{base}"


def notify(sentence: str) -> None:
    """Print a message to stderr."""
    typer.echo(harmless(sentence), err=True)


def say(what: object) -> None:
    """Print a sentence or a table to stdout; sentences don't need rich, which loads slowly."""
    if isinstance(what, str):
        typer.echo(harmless(what))
        return
    from simulator.core.console import say as print_inert

    print_inert(what)


def show_ours_plainly() -> None:
    """Show each warning of ours once, as one line; other warnings stay as they are."""
    shown: set[str] = set()
    otherwise = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, (EndpointWarning, RenamedWarning)):
            otherwise(message, category, *place, **more)
        elif str(message) not in shown:
            shown.add(str(message))
            notify(one_line(f"warning: {message}"))

    warnings.showwarning = show
