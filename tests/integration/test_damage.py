"""Every file of a run is cut, emptied, flipped, swapped and deleted, and each damage is named."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from simulator.cli.app import app
from simulator.core.errors import StoreError
from simulator.evaluation.verify import verify_run
from simulator.store.round_files import DONE
from simulator.store.run import Run
from tests.helpers.planting import commit_again

DERIVED = {"report.html", "drift.png", ".lock"}  # made from the rest, by `report`


def cut(path: Path, other: bytes) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def emptied(path: Path, other: bytes) -> None:
    path.write_bytes(b"")


def flipped(path: Path, other: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


def swapped(path: Path, other: bytes) -> None:
    path.write_bytes(other)


def deleted(path: Path, other: bytes) -> None:
    path.unlink()


KINDS: tuple[Callable[[Path, bytes], None], ...] = (cut, emptied, flipped, swapped, deleted)


@pytest.fixture(scope="module")
def copied(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("damage") / "run"
    return Run(Path(shutil.copytree(tiny_run.path, path)))


def kept_files(run: Run) -> list[Path]:
    found = (path for path in sorted(run.path.rglob("*")) if path.is_file())
    return [path for path in found if path.name not in DERIVED]


@contextmanager
def damaged(path: Path, how: Callable[[Path, bytes], None], other: bytes) -> Iterator[None]:
    before = path.read_bytes()
    how(path, other)
    try:
        yield
    finally:
        path.write_bytes(before)


def twin(path: Path, files: list[Path]) -> bytes:
    """The content of a file of the same kind, from another round if there is one."""
    alike = [one for one in files if one.suffix == path.suffix and one != path]
    named = [one for one in alike if one.name == path.name]
    contents = [one.read_bytes() for one in (*named, *alike)]
    return next((found for found in contents if found != path.read_bytes()), b"something else")


def test_every_damage_of_every_file_is_named(copied: Run) -> None:
    files = kept_files(copied)
    assert verify_run(copied).damages == []
    unnamed = []
    for path in files:
        other = twin(path, files)
        for how in KINDS:
            with damaged(path, how, other):
                found = verify_run(Run(copied.path)).damages
            if path == copied.folder(2) / DONE and how is deleted:
                continue  # then it is a run that was killed before its last commit
            if not any(sentence.startswith(f"{path}: ") for sentence in found):
                unnamed.append((how.__name__, str(path), found))
    assert unnamed == []
    assert len(files) * len(KINDS) >= 150


def test_whole_rounds_are_named_too(copied: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(copied.path, tmp_path / "run")))
    shutil.copytree(run.folder(1), run.path / "rounds" / "copy of 0001")
    (stranger,) = verify_run(run).damages
    assert stranger == f"{run.path / 'rounds' / 'copy of 0001'}: the run has no such round"
    assert Run.open(run.path).rounds_done == 3  # what isn't a round's folder is nobody's business
    shutil.rmtree(run.path / "rounds" / "copy of 0001")
    shutil.rmtree(run.folder(1))
    found = verify_run(Run(run.path)).damages
    assert f"{run.folder(1) / DONE}: it is missing, though later rounds are committed" in found
    with pytest.raises(StoreError, match="0001/DONE: damaged: it is missing, though rounds/0002"):
        Run.open(run.path)


@pytest.mark.parametrize("how", [cut, emptied, flipped, deleted])
def test_a_wave_of_a_round_at_work_is_checked(
    copied: Run, tmp_path: Path, how: Callable[[Path, bytes], None]
) -> None:
    run = Run(Path(shutil.copytree(copied.path, tmp_path / "run")))
    waves = [run.wave(2, n) for n in (0, 1)]
    shutil.rmtree(run.folder(2))
    for n, wave in enumerate(waves):
        assert wave is not None
        run.commit_wave(2, n, wave)
    assert verify_run(Run(run.path)).damages == []
    path = run.folder(2) / "conversations" / "part-0001.parquet"
    how(path, b"")
    (sentence,) = verify_run(Run(run.path)).damages
    assert sentence.startswith(f"{path}: ")
    if how is not deleted:  # else it isn't there, and is held again
        with pytest.raises(StoreError, match=r"part-0001\.parquet: damaged"):
            Run(run.path).wave(2, 1)


@pytest.mark.parametrize("how", [emptied, flipped, deleted])
def test_what_is_read_is_refused_by_name(
    copied: Run, tmp_path: Path, how: Callable[[Path, bytes], None]
) -> None:
    """The last round isn't committed, so `resume` reads the rounds before it."""
    run = Run(Path(shutil.copytree(copied.path, tmp_path / "run")))
    needed = ["manifest.json", "scenario.resolved.yaml"]
    needed += [f"rounds/0000/{name}" for name in ("DONE", "scores.parquet", "population.parquet")]
    needed += [f"rounds/0001/{name}" for name in ("series.parquet", "population.parquet")]
    needed += [
        f"rounds/0001/checkpoint/{name}"
        for name in ("adapter_model.safetensors", "optimizer.safetensors", "adapter_config.json")
    ]
    for name in needed:
        (run.folder(2) / DONE).unlink(missing_ok=True)
        with damaged(run.path / name, how, b""):
            done = CliRunner().invoke(app, ["resume", str(run.path)])
        assert isinstance(done.exception, StoreError) or done.exit_code == 2, (name, done.output)
        assert str(run.path / name) in str(done.exception) or "not a run" in str(done.exception)


def test_what_stands_alone_is_compared_with_the_rest(copied: Run, tmp_path: Path) -> None:
    """The hashes are right, and the content contradicts what it came from."""
    run = Run(Path(shutil.copytree(copied.path, tmp_path / "run")))
    changes: dict[str, tuple[str, object]] = {
        "examples": ("reply", "another reply ."),
        "selection": ("label", -1),
        "scores": ("stated", "nothing"),
    }
    for name, (column, value) in changes.items():
        path = run.folder(1) / f"{name}.parquet"
        before, table = path.read_bytes(), pd.read_parquet(path)
        first = table.index == table.index[table[column].notna()][0]
        table.assign(**{column: table[column].mask(first, value)}).to_parquet(path)
        commit_again(run)
        found = verify_run(Run(run.path)).damages
        assert any(name in sentence for sentence in found), (name, found)
        path.write_bytes(before)
        commit_again(run)
    assert verify_run(Run(run.path)).damages == []


def test_a_run_is_verified_where_it_was_moved_to(copied: Run, tmp_path: Path) -> None:
    shutil.copytree(copied.path, tmp_path / "elsewhere" / "moved")
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "elsewhere" / "moved")])
    assert done.exit_code == 0 and ": intact (3 rounds, " in done.output


def test_texts_that_are_no_utf8_are_named(copied: Run, tmp_path: Path) -> None:
    """Arrow reads such a column, and fails only where a text of it is used."""
    run = Run(Path(shutil.copytree(copied.path, tmp_path / "run")))
    part = run.folder(1) / "conversations" / "part-0000.parquet"
    table = pq.read_table(part)
    place = table.schema.get_field_index("reply")
    texts = [text.encode() for text in table["reply"].to_pylist()]
    wrong = pa.array([b"\xb0" + texts[0][1:], *texts[1:]], pa.binary())
    column = pa.Array.from_buffers(pa.string(), len(wrong), wrong.buffers())
    pq.write_table(table.set_column(place, table.schema.field(place), column), part)
    commit_again(run)
    (told,) = verify_run(run).damages
    assert told.startswith(f"{part}: it isn't a table: ") and "UTF8" in told
    with pytest.raises(StoreError, match="can't be read as a table"):
        run.candidates(1)
