"""Thousands of files and answers that are nearly right: each is read, or refused in a sentence."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from simulator.store.run import Run
from tests.fuzz.bounded import MEMORY, SECONDS
from tests.fuzz.targets import (
    NAMES,
    WRITTEN,
    changed_files,
    facts_files,
    stored,
    targets,
    write_facts,
    yaml_files,
)
from tests.helpers.scripted_endpoint import Scripted, scripted

CASES = 2_200  # in process, of all kinds together
FEW = 60  # of these in the fast part of the tests


def repeated(cases: int) -> settings:
    """The same cases each time, which aren't made smaller: that takes longer than all of them."""
    return settings(max_examples=cases, derandomize=True, deadline=None, database=None,
                    phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def fuzz(name: str, cases: int, run: Run, server: Scripted, folder: Path) -> None:
    """Runs cases of one kind; the same ones each time."""
    (target,) = (one for one in targets(run.path, server) if one.name == name)
    count = refused = 0

    @repeated(max(2, round(cases * target.share)))
    @given(target.cases)
    def one(case: Any) -> None:
        nonlocal count, refused
        count += 1
        inside = folder / str(count)
        inside.mkdir()
        refused += target.run(case, inside)

    one()
    print(f"{name}: {count} cases, {refused} refused")
    assert refused


@pytest.mark.parametrize("name", NAMES)
def test_a_few_odd_files_are_read_or_refused(
    name: str, tiny_run: Run, endpoint: Scripted, tmp_path: Path
) -> None:
    fuzz(name, FEW, tiny_run, endpoint, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_odd_files_are_read_or_refused(
    name: str, tiny_run: Run, endpoint: Scripted, tmp_path: Path
) -> None:
    fuzz(name, CASES, tiny_run, endpoint, tmp_path)


# A process counts the memory of the one that started it, so a small one starts it.
SMALL = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss * 1024}))
sys.exit(code)
"""


def command(folder: Path, *words: str) -> None:
    """Runs a command, which succeeds or is refused by one line a mistake, within bounds."""

    def bounded() -> None:
        seconds = int(2 * SECONDS)  # libraries are loaded, too
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    command = [sys.executable, "-c", SMALL, sys.executable, "-m", "simulator", *words]
    done = subprocess.run(
        command, cwd=folder, text=True, capture_output=True, preexec_fn=bounded,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    code, said, used = done.returncode, done.stderr, json.loads(done.stdout)
    assert code in (0, 2) and "Traceback" not in said, said[-2_000:]
    assert used["seconds"] <= SECONDS
    assert used["memory"] <= MEMORY
    if code:
        lines = [line for line in said.splitlines() if not line.startswith("warning:")]
        told = next(line for line in lines if line.startswith("error: "))
        mistakes = lines[lines.index(told) + 1 :]
        assert len(mistakes) == (" mistakes:" in told and len(mistakes)), said
        assert "case" in said or str(folder) in said, said


Commands = Callable[[Path, Any], None]


def validated(folder: Path, case: tuple[str, bytes]) -> None:
    (folder / "case.yaml").write_bytes(case[1])
    command(folder, "validate", "case.yaml")


def asked_about(folder: Path, case: tuple[bytes, bytes]) -> None:
    write_facts(case, folder)
    command(folder, "validate", "facts", "--set", "facts.data=case.csv")


def shown(folder: Path, case: tuple[str, bytes, bool]) -> None:
    command(folder, "show", str(stored(case, folder, WRITTEN / "run")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "cases, run, count",
    [
        (yaml_files(), validated, 30),
        (facts_files(), asked_about, 12),
        (changed_files(WRITTEN / "run"), shown, 12),
    ],
    ids=["yaml", "facts", "run"],
)
def test_commands_refuse_odd_files(
    cases: st.SearchStrategy[Any], run: Commands, count: int, tmp_path: Path
) -> None:
    done = 0

    @repeated(count)
    @given(cases)
    def one(case: Any) -> None:
        nonlocal done
        done += 1
        inside = tmp_path / str(done)
        inside.mkdir()
        run(inside, case)

    one()
    print(f"{done} cases by the command line")
