"""The command `judge-check`."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.options import Override, SkipBadRows, notify, say, usable


def judge_check(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV, JSONL, JSON or Parquet with prompt, reply, label.", callback=usable
        ),
    ],
    scenario: Annotated[
        str, typer.Option(help="Whose judge and scales: a YAML file, or a shipped scenario.")
    ] = "therapy",
    judge: Annotated[
        str | None, typer.Option(help="Another judge; as `run --model`.", callback=usable)
    ] = None,
    scale: Annotated[str | None, typer.Option(help="Which scale; default: the first.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Numbers from here on mean yes; default: the middle.")
    ] = None,
    label_threshold: Annotated[
        float | None, typer.Option(help="The same for labels that are numbers; default: equal.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The label that means yes, where labels are words.")
    ] = None,
    skip_bad_rows: SkipBadRows = False,
    overrides: Override = None,
) -> None:
    """Compare a judge with people's labels: Cohen's κ, and the table of counts."""
    from simulator.config.loading import load
    from simulator.evaluation import judge_check as check
    from simulator.evaluation.labels import usable
    from simulator.simulation.config import RoleConfig

    loaded = load(scenario, overrides=overrides or (), notify=notify)
    asked = check.question_of(
        loaded, scale, threshold=threshold, of_labels=label_threshold, positive=positive
    )
    other = RoleConfig(model=judge, backend=loaded.backend) if judge else None
    rows, left_out = usable(file, skip_bad_rows=skip_bad_rows)
    if left_out:
        notify(left_out)
    say(check.judge_check(file, rows, loaded, other, asked))
