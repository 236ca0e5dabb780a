"""Run directories in which nothing was computed: what a refused start leaves behind.

The corrected command must be able to use the same name.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from simulator.core.files import explained
from simulator.runtime.roles import JUDGEMENTS
from simulator.store.lock import LOCK
from simulator.store.run import LEFT_OUT, MANIFEST, SCENARIO, Run

DESCRIPTION = frozenset((MANIFEST, SCENARIO, f"{LEFT_OUT}.jsonl", LOCK))


def is_unstarted(path: Path) -> bool:
    """Return whether this is a run's directory without any work in it."""
    if not ((path / MANIFEST).is_file() and (path / SCENARIO).is_file()):
        return False
    others = [entry for entry in path.iterdir() if entry.name not in DESCRIPTION]
    answers = [entry for entry in others if entry.name.startswith(JUDGEMENTS)]
    logs = [entry for entry in others if entry.suffix == ".log"]
    return len(others) == len(answers) + len(logs) and _no_answers(path / JUDGEMENTS)


def remove_unstarted(path: Path) -> None:
    """Remove such a directory, unless a process is working on it; leave all others."""
    if is_unstarted(path):
        with Run.open(path).locked():
            _remove(path)


@contextlib.contextmanager
def removed_if_unstarted(run: Run) -> Iterator[None]:
    """Remove a run's directory if an error comes before anything is computed.

    The logs of servers are kept beside it, and the error names them there.
    """
    try:
        yield
    except BaseException as error:
        if is_unstarted(run.path):
            for log in run.path.glob("*.log"):
                kept = run.path.with_name(f"{run.path.name}.{log.name}")
                log.replace(kept)
                error.args = tuple(_renamed(arg, str(log), str(kept)) for arg in error.args)
            _remove(run.path)
        raise


def _renamed(arg: object, old: str, new: str) -> object:
    return arg.replace(old, new) if isinstance(arg, str) else arg


def _remove(path: Path) -> None:
    with explained(path):
        shutil.rmtree(path)


def _no_answers(file: Path) -> bool:
    """Return whether no answer is kept in a file of judgements, if there is one."""
    if not file.is_file():
        return True
    try:
        with contextlib.closing(sqlite3.connect(file)) as opened:
            return opened.execute("SELECT 1 FROM judgements LIMIT 1").fetchone() is None
    except sqlite3.OperationalError:  # the table isn't made yet
        return True
