"""Running a study: its sweep, with the claims beside it."""

from pathlib import Path

from analysis.studies.claims import Claims, Study
from simulator.experiments.executors import Asked, Engine
from simulator.experiments.sweep import AS_THE_FILE_SAYS, failures, fetch_all, lay_out, run_cells
from simulator.studies.plan import PlannedStudy

STUDIES = Path("studies")


def run_study(
    planned: PlannedStudy, command: str, out: Path | None, asked: Asked = AS_THE_FILE_SAYS
) -> tuple[Study, str]:
    """Run all unfinished runs; return the study, and the failures, if any.

    Args:
        planned: the study and its runs.
        command: that repeats it.
        out: where studies and their runs are kept.
        asked: where runs are played.
    """
    config, cells = planned
    engine = Engine.of(asked, config)
    path = (out or STUDIES) / config.name
    claims = Claims(**{key: getattr(config, key) for key in Claims.model_fields})
    fetch_all(cells)
    sweep = lay_out(cells, path)
    study = Study.declare(claims, command, sweep)
    failed = run_cells(sweep, cells, engine)
    return study, failures(sweep, failed) if failed else ""
