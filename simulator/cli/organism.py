"""The commands `organism build` and `organism check`: bases of the embedded model organism."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from simulator.cli.options import say, usable

if TYPE_CHECKING:
    from rich.table import Table

    from simulator.organism.qualification import Check
    from simulator.worlds.corpus import Ablation

Threads = Annotated[int, typer.Option(min=1, max=256, help="CPU threads.")]

organism = typer.Typer(help="The embedded model organism: build a base, or check one.")


@organism.command()
def build(
    out: Annotated[Path, typer.Option(help="The new base's folder.", callback=usable)],
    seed: Annotated[int, typer.Option(help="Seed of world, corpus and weights.")] = 0,
    threads: Threads = 2,
    without: Annotated[
        Literal["dishonest_speakers", "telling_self_ratings"] | None,
        typer.Option(help="Leave this out of the corpus, to see what a run then still shows."),
    ] = None,
) -> None:
    """Train a base from scratch; takes some twenty minutes on two cores."""
    from simulator.core.console import STDERR
    from simulator.core.errors import StoreError
    from simulator.organism.card import card
    from simulator.organism.qualification import qualify

    ablation: Ablation = without or "none"
    if out.exists():
        raise StoreError(f"{out}: already exists; choose another --out")
    _train(seed, out, threads, ablation)
    checks = qualify(out, threads=threads)
    rows = [check.row for check in checks]
    (out / "README.md").write_text(card(seed, ablation, threads, rows), encoding="utf-8")
    STDERR.print(_table(checks))


@organism.command()
def check(
    path: Annotated[str, typer.Argument(help="A base's folder, or organism:N.", callback=usable)],
    threads: Threads = 2,
) -> None:
    """Print the qualification table of a base; exit code 1 below the bar."""
    from simulator.core.errors import BackendError
    from simulator.models.resolve import resolve
    from simulator.organism.qualification import qualify

    folder = Path(resolve(path).path)
    if not (folder / "world.json").is_file():
        raise BackendError(f"{folder}: not a base of the organism (it has no world.json)")
    checks = qualify(folder, threads=threads)
    say(_table(checks))
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


def _train(seed: int, out: Path, threads: int, ablation: "Ablation") -> None:
    """Train a base, with a progress bar."""
    import torch
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from simulator.core.console import STDERR
    from simulator.organism import training

    torch.set_num_threads(threads)
    columns = (TextColumn("training, loss {task.fields[loss]:.3f}"), BarColumn())
    with Progress(*columns, TimeRemainingColumn(), console=STDERR) as progress:
        task = progress.add_task("", total=training.STEPS, loss=float("nan"))

        def show(step: training.Progress) -> None:
            progress.update(task, completed=step.step, loss=step.loss)

        training.build(seed, out, ablation=ablation, on_step=show)


def _table(checks: "list[Check]") -> "Table":
    from rich.table import Table

    from simulator.organism.qualification import FLOOR_NOTE

    failed = sum(not check.passed for check in checks)
    verdict = "qualified" if not failed else f"NOT qualified: {failed} below the bar"
    table = Table(title=verdict, caption=FLOOR_NOTE, title_justify="left", caption_justify="left")
    for heading in ("measured", "items", "value", "bar", "n", ""):
        table.add_column(heading, justify="right" if heading in ("value", "n") else "left")
    for check in checks:
        table.add_row(*check.row, "ok" if check.passed else "FAILED")
    return table
