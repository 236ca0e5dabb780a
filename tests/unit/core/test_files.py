"""Who may read what a run writes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.core.files import append_line, make_folder, write_atomically


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield int(request.param)
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_files_and_folders_are_for_their_owner_alone(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "a" / "b" / "whole", b"x")
    append_line(tmp_path / "a" / "c" / "lines", {"x": 1})
    make_folder(tmp_path / "a" / "d")
    for folder in ("a", "a/b", "a/c", "a/d"):
        assert mode(tmp_path / folder) == 0o700
    for file in ("a/b/whole", "a/c/lines"):
        assert mode(tmp_path / file) == 0o600


def test_the_umask_says_who_may_read_a_page_to_send(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "new" / "page.html", b"x", shared=True)
    assert mode(tmp_path / "new" / "page.html") == 0o666 & ~umask
    assert mode(tmp_path / "new") == 0o777 & ~umask


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours").chmod(0o755)
    write_atomically(tmp_path / "ours" / "file", b"x")
    assert mode(tmp_path / "ours") == 0o755
