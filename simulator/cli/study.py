"""The command `study`: one paper's findings, measured here."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simulator.studies.plan import Tier

Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="A shipped study, or a YAML file.")
]


def study(
    name: Name = None,
    quick: Annotated[bool, typer.Option(help="A first look, in minutes: few runs.")] = False,
    model: Annotated[
        str | None, typer.Option(help="A path or hub id: on this model instead of the bases.")
    ] = None,
    base: Annotated[
        list[int] | None, typer.Option(help="On this base of the organism; repeatable.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any key of every run; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where studies are kept; default: studies.")
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Runs at a time.")] = None,
    as_list: Annotated[bool, typer.Option("--list", help="List the shipped studies.")] = False,
) -> None:
    """Run a study of the literature and say which findings hold here."""
    from analysis.studies.claims import judge
    from analysis.studies.report import write_study
    from analysis.studies.summary import told
    from simulator.core.console import say
    from simulator.core.errors import ScenarioError, StoreError
    from simulator.studies.plan import Tier, listed, plan_study
    from simulator.studies.run import run_study

    if as_list:
        for shipped, question, source in listed():
            typer.echo(f"{shipped}: {question} ({source})")
        return
    if name is None:
        raise ScenarioError("name a study, or list them with 'study --list'")
    if model is not None and base:
        raise ScenarioError("give --model or --base, not both")
    tier = Tier(quick, model, tuple(base or ()), tuple(overrides or ()))
    command = _written(name, tier)
    done, failed = run_study(plan_study(name, tier), command, out, processes)
    outcome = judge(done)
    for said in told(done, outcome):
        say(said)
    say(f"see {' and '.join(map(str, write_study(done, outcome)))}")
    if failed:
        raise StoreError(failed)


def _written(name: str, tier: "Tier") -> str:
    """Returns the command that repeats a study."""
    words = ["study", name, *(["--quick"] if tier.quick else [])]
    words += ["--model", tier.model] if tier.model else []
    for base in tier.bases:
        words += ["--base", str(base)]
    for override in tier.overrides:
        words += ["--set", override]
    return f"python -m simulator {shlex.join(words)}"
