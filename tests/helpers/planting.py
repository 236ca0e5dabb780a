"""Runs that say what a test wants them to say, and what of a run is the same in equal runs."""

from simulator.store.round_files import DONE, TIMING, RoundFiles
from simulator.store.run import Run


def commit_again(run: Run) -> None:
    """Commits a run's rounds as they are now, after a test has rewritten some of it."""
    for number in range(run.rounds_done):
        files = RoundFiles(run.folder(number))
        rests_on = [name for name in files.hashes if name.startswith("..")]
        (files.folder / DONE).unlink()
        files.commit(rests_on)


def differs_by_run(name: str) -> bool:
    """Tells which files of a round hold times: its own, and by the manifest what it rests on."""
    return name.startswith("..") or name == TIMING
