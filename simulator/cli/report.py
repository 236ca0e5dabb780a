"""The commands `show` and `report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from simulator.cli.options import RunOrMany, say, usable

if TYPE_CHECKING:
    from simulator.store.run import Run


def show(path: RunOrMany) -> None:
    """Print what a run, a sweep or a study found."""
    from simulator.store.sweep import Sweep

    # Every study is a sweep, too; a plain run needs nothing of theirs.
    if Sweep.is_at(path):
        _show_many(path)
    else:
        _show_run(path)


def report(
    path: RunOrMany,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The HTML file, beside which the pictures go; default: in the folder.",
            callback=usable,
        ),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(
            help="Another sweep: draw only both dose responses, side by side.", callback=usable
        ),
    ] = None,
) -> None:
    """Write picture and report of a run, of a sweep, or of a study."""
    from analysis.studies.claims import Study
    from simulator.store.run import Run
    from simulator.store.sweep import Sweep

    if beside is not None:
        written = [_write_beside(path, beside, out)]
    elif Study.is_at(path):
        written = _write_study_pages(path, out)
    elif Sweep.is_at(path):
        places = Places.beside(out) if out else Places.in_sweep(path)
        written = [*write_sweep_pages(path, places), *_write_sweep_panels(path, places)]
    else:
        places = Places.beside(out) if out else Places.in_run(path)
        run = Run.open(path)
        written = [*write_run_pages(run, places), *_write_panels(run, places)]
    for file in written:
        say(str(file))


class Places(NamedTuple):
    """Where picture, page and panels go."""

    picture: Path
    page: Path
    panels: Path

    @classmethod
    def in_run(cls, folder: Path) -> "Places":
        """Return the places in a run's folder."""
        return cls(folder / "drift.png", folder / "report.html", folder / "panels")

    @classmethod
    def in_sweep(cls, folder: Path) -> "Places":
        """Return the places in a sweep's folder."""
        return cls(folder / "sweep.png", folder / "sweep.html", folder / "panels")

    @classmethod
    def beside(cls, page: Path) -> "Places":
        """Return the places beside a page: the run may be on a disk that can't be written."""
        panels = page.with_name(f"{page.stem}-panels")
        return cls(page.with_name(f"{page.stem}.png"), page, panels)


def write_run_pages(run: "Run", places: Places) -> list[Path]:
    """Write picture and report of a run, and return where they are."""
    from analysis.run.plots import save_drift
    from analysis.run.report import write_report

    save_drift(run, places.picture)
    write_report(run, places.page)
    return [places.picture, places.page]


def _write_panels(run: "Run", places: Places) -> list[Path]:
    """Write every panel of a run's figure alone, as SVG and PDF, and return where they are."""
    from analysis.run.plots import save_panels

    return save_panels(run, places.panels)


def write_sweep_pages(path: Path, places: Places) -> list[Path]:
    """Write picture and report of a sweep, and return where they are."""
    from analysis.sweep.frames import open_sweep
    from analysis.sweep.plots import save_sweep
    from analysis.sweep.report import write_sweep_report

    sweep = open_sweep(path)
    save_sweep(sweep, places.picture)
    write_sweep_report(sweep, places.page)
    return [places.picture, places.page]


def _write_sweep_panels(path: Path, places: Places) -> list[Path]:
    """Write every panel of a sweep's figure alone, as SVG and PDF, and return where they are."""
    from analysis.sweep.frames import open_sweep
    from analysis.sweep.plots import save_sweep_panels

    return save_sweep_panels(open_sweep(path), places.panels)


def _write_beside(path: Path, other: Path, out: Path | None) -> Path:
    """Draw two sweeps side by side, and return where the picture is."""
    from analysis.sweep.beside import save_beside
    from analysis.sweep.frames import open_sweep

    picture = out.with_suffix(".png") if out else path / "beside.png"
    save_beside([open_sweep(path), open_sweep(other)], picture)
    return picture


def _write_study_pages(path: Path, out: Path | None) -> list[Path]:
    from analysis.studies.claims import Study, judge
    from analysis.studies.report import write_study

    opened = Study.open(path)
    return write_study(opened, judge(opened), out)


def _show_run(path: Path) -> None:
    from analysis.run import summary
    from simulator.store.run import Run

    run = Run.open(path)
    if not run.rounds_done:
        say("No round is committed yet, so there is nothing to show.")
        return
    say(summary.summary_table(run))
    for table in (summary.lengths_table(run), summary.screening_table(run)):
        if table:
            say(table)
    say(summary.headline(run))
    for sentence in (*summary.rows_left_out(run), *summary.unchanged_rounds(run)):
        say(sentence)


def _show_many(path: Path) -> None:
    from analysis.studies.claims import Study, judge
    from analysis.studies.summary import described
    from analysis.sweep import frames, summary

    if Study.is_at(path):
        study = Study.open(path)
        for output in described(study, judge(study)):
            say(output)
        return
    sweep = frames.open_sweep(path)
    say(summary.summary_table(sweep))
    say(summary.headline(sweep))
