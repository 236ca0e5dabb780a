"""Running a study: its sweep, with the claims beside it."""

from pathlib import Path

from analysis.studies.claims import Claims, Study
from simulator.experiments.executors import Engine
from simulator.experiments.sweep import failures, fetch_all, lay_out, run_cells
from simulator.studies.plan import PlannedStudy

STUDIES = Path("studies")


def run_study(
    planned: PlannedStudy, command: str, out: Path | None, engine: Engine | None = None
) -> tuple[Study, str]:
    """Run all unfinished runs; return the study, and the failures, if any.

    Args:
        planned: the study and its runs.
        command: that repeats it.
        out: where studies and their runs are kept.
        engine: where runs are played; None: as many processes at a time as the file says.
    """
    config, cells = planned
    path = (out or STUDIES) / config.name
    claims = Claims(**{key: getattr(config, key) for key in Claims.model_fields})
    fetch_all(cells)
    sweep = lay_out(cells, path)
    study = Study.declare(claims, command, sweep)
    played_by = engine or Engine(processes=config.processes)
    failed = run_cells(sweep, cells, played_by, gpus=config.gpus)
    return study, failures(sweep, failed) if failed else ""
