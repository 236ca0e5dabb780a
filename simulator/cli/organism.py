"""Building and checking bases from the command line."""

from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from simulator.core.console import STDERR
from simulator.core.errors import BackendError, StoreError
from simulator.models.resolve import resolve
from simulator.organism.card import card
from simulator.organism.qualification import FLOOR_NOTE, Check, qualify
from simulator.organism.training import STEPS
from simulator.organism.training import Progress as Step
from simulator.organism.training import build as build_base
from simulator.worlds.corpus import Ablation


def build_with_progress(seed: int, out: Path, threads: int, ablation: Ablation) -> None:
    """Trains a base with a progress bar, checks it, and writes its model card.

    Raises:
        StoreError: `out` exists already.
    """
    if out.exists():
        raise StoreError(f"{out}: exists already; choose another --out")
    torch.set_num_threads(threads)
    columns = (TextColumn("training, loss {task.fields[loss]:.3f}"), BarColumn())
    with Progress(*columns, TimeRemainingColumn(), console=STDERR) as progress:
        task = progress.add_task("", total=STEPS, loss=float("nan"))

        def show(step: Step) -> None:
            progress.update(task, completed=step.step, loss=step.loss)

        build_base(seed, out, ablation=ablation, on_step=show)
    checks = qualify(out, threads=threads)
    rows = [check.row for check in checks]
    (out / "README.md").write_text(card(seed, ablation, threads, rows), encoding="utf-8")
    STDERR.print(_table(checks))


def qualification_table(path: str, threads: int) -> tuple[Table, bool]:
    """Measures a base and returns its table, and whether it clears every bar.

    Raises:
        BackendError: there is no base at `path`.
    """
    folder = Path(resolve(path))
    if not (folder / "world.json").is_file():
        raise BackendError(f"{folder}: not a base of the organism (it has no world.json)")
    checks = qualify(folder, threads=threads)
    return _table(checks), all(check.passed for check in checks)


def _table(checks: list[Check]) -> Table:
    failed = sum(not check.passed for check in checks)
    verdict = "qualified" if not failed else f"NOT qualified: {failed} below the bar"
    table = Table(title=verdict, caption=FLOOR_NOTE, title_justify="left", caption_justify="left")
    for heading in ("measured", "items", "value", "bar", "n", ""):
        table.add_column(heading, justify="right" if heading in ("value", "n") else "left")
    for check in checks:
        table.add_row(*check.row, "ok" if check.passed else "FAILED")
    return table
