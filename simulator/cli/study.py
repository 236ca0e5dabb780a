"""The command `study`: one paper's findings, measured here."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simulator.cli.engines import Address, Kind, Processes, asked_of
from simulator.cli.options import Override, say, usable

if TYPE_CHECKING:
    from simulator.experiments.executors import Asked
    from simulator.studies.plan import Tier

Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="A shipped study, or a YAML file.")
]


def study(
    name: Name = None,
    quick: Annotated[bool, typer.Option(help="The quick tier: few runs, in minutes.")] = False,
    model: Annotated[
        str | None, typer.Option(help="A path or hub id: on this model instead of the bases.")
    ] = None,
    facts: Annotated[
        bool | None,
        typer.Option(
            help="Ask that model about facts, or use the study's data and judges; default: facts "
            "for a model that `models` lists."
        ),
    ] = None,
    base: Annotated[
        list[int] | None, typer.Option(help="On this base of the organism; repeatable.")
    ] = None,
    overrides: Override = None,
    out: Annotated[
        Path | None, typer.Option(help="Where studies are kept; default: studies.", callback=usable)
    ] = None,
    processes: Processes = None,
    engine: Kind = "pool",
    address: Address = None,
    as_list: Annotated[bool, typer.Option("--list", help="List the shipped studies.")] = False,
) -> None:
    """Run a study of the literature and say which findings hold here."""
    from simulator.core.errors import ScenarioError

    if as_list:
        _list()
    elif name is None:
        raise ScenarioError("name a study, or list them with 'study --list'")
    elif model is not None and base:
        raise ScenarioError("give --model or --base, not both")
    else:
        from simulator.studies.plan import Tier

        tier = Tier(quick, model, facts, tuple(base or ()), tuple(overrides or ()))
        _run(name, tier, out, asked_of(engine, address, processes))


def _list() -> None:
    from simulator.studies.shipped import listed

    for name, question, source in listed():
        say(f"{name}: {question} ({source})")


def _run(name: str, tier: "Tier", out: Path | None, asked: "Asked") -> None:
    from analysis.studies.claims import judge
    from analysis.studies.report import write_study
    from analysis.studies.summary import described
    from simulator.core.errors import StoreError
    from simulator.studies.plan import plan_study
    from simulator.studies.run import run_study

    done, failed = run_study(plan_study(name, tier), _written(name, tier), out, asked)
    outcome = judge(done)
    for output in described(done, outcome):
        say(output)
    say(f"see {' and '.join(map(str, write_study(done, outcome)))}")
    if failed:
        raise StoreError(failed)


def _written(name: str, tier: "Tier") -> str:
    """Return the command that repeats a study."""
    words = ["study", name, *(["--quick"] if tier.quick else [])]
    words += ["--model", tier.model] if tier.model else []
    words += ["--facts" if tier.facts else "--no-facts"] if tier.facts is not None else []
    for base in tier.bases:
        words += ["--base", str(base)]
    for override in tier.overrides:
        words += ["--set", override]
    return f"python -m simulator {shlex.join(words)}"
