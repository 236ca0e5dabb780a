"""Pages and pictures: whole or not at all, where they are asked for, never over other things."""

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from simulator.cli.app import app
from simulator.core.errors import StoreError
from simulator.store.run import Run
from simulator.store.sweep import Sweep


def report(*words: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, words)])


def content(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file of a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def test_a_report_elsewhere_writes_nothing_into_the_run(tiny_run: Run, tmp_path: Path) -> None:
    before = content(tiny_run.path)
    done = report(tiny_run.path, "--out", tmp_path / "pages" / "mine.html")
    assert done.exit_code == 0, done.output
    assert content(tiny_run.path) == before
    written = {path.name for path in (tmp_path / "pages").iterdir()}
    assert written == {"mine.html", "mine.png", "mine-panels"}


def test_a_report_of_a_sweep_elsewhere_writes_nothing_into_it(
    planted_sweep: Sweep, tmp_path: Path
) -> None:
    before = content(planted_sweep.path.parent)
    assert report(planted_sweep.path, "--out", tmp_path / "mine.html").exit_code == 0
    assert content(planted_sweep.path.parent) == before
    assert {path.name for path in tmp_path.iterdir()} >= {"mine.html", "mine.png", "mine-panels"}


def test_only_regular_files_are_overwritten(tiny_run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    (tmp_path / "link.html").symlink_to(kept)
    (tmp_path / "folder.html").mkdir()
    os.mkfifo(tmp_path / "pipe.html")
    for name in ("link.html", "folder.html", "pipe.html"):
        done = report(tiny_run.path, "--out", tmp_path / name)
        assert isinstance(done.exception, StoreError)
        assert str(done.exception) == (
            f"{tmp_path / name}: isn't a regular file, so it isn't overwritten"
        )
    assert kept.read_text() == "mine"


def test_where_nothing_can_be_written_a_sentence_says_so(tiny_run: Run) -> None:
    done = report(tiny_run.path, "--out", "/proc/undertow/page.html")
    assert isinstance(done.exception, StoreError)
    assert "can't be written" in str(done.exception)


@pytest.mark.parametrize("name", ["drift.png", "report.html", "panels/honesty.svg"])
def test_pages_are_replaced_whole(tiny_run: Run, tmp_path: Path, name: str) -> None:
    run = Path(shutil.copytree(tiny_run.path, tmp_path / "run"))
    assert report(run).exit_code == 0
    with (run / name).open("rb") as held:
        assert report(run).exit_code == 0
        old = held.read()
    assert old == (run / name).read_bytes()  # the same bytes, of another file
    assert not list(run.rglob(".*.partial"))
