"""The run directory: whole files or none, one writer, and sentences when the disk says no."""

import hashlib
import json
import pickletools
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from simulator.core.errors import StoreError
from simulator.core.files import file_sha256, write_atomically
from simulator.store.round_files import DONE
from simulator.store.run import Run
from tests.helpers.tables import sample_of

RATED = sample_of("conversations", rating=[1.0, 5.0], reply=["it is <b>mild</b> .", ""])
SCORES = sample_of("scores", value=[1.0, float("nan")], reply=["it is <b>mild</b> .", ""])
LIMITED = """
import resource, sys
from pathlib import Path
import pandas as pd
from simulator.core.errors import StoreError
from simulator.core.files import write_atomically
from simulator.store.run import Run
from tests.helpers.tables import sample_of
path = Path(sys.argv[1])
big = "x" * 50_000
frame = sample_of("NAME", reply=[f"{n:x}" * 9 for n in range(9_000)])
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # as a full disk, but for one process
try:
    ACTION
except StoreError as error:
    print(error)
    sys.exit(2)
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", {"name": "x"}, {"seed": 0})


def files(path: Path) -> list[str]:
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def on_a_full_disk(path: Path, action: str) -> str:
    """Runs `action` where no file can grow beyond 10 kB; returns the sentence."""
    code = LIMITED.replace("ACTION", action).replace(
        "NAME", "scores" if "scores" in action else "conversations"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stdout.count("\n") == 1
    return done.stdout


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, b"old")
    held = path.open("rb")
    write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"new and longer"
    assert held.read() == b"old"  # a reader never sees a mixture
    assert files(tmp_path) == ["deep/file"]


def test_a_run_with_updates_is_for_its_owner_alone(tiny_run: Run) -> None:
    assert (tiny_run.path / "rounds/0002/checkpoint/optimizer.safetensors").is_file()
    for path in (tiny_run.path, *tiny_run.path.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    sentence = on_a_full_disk(path, "write_atomically(path, big.encode())")
    assert sentence == f"{path}: can't be written: File too large\n"
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == ["file"]


def test_a_full_disk_leaves_no_half_made_run(tmp_path: Path) -> None:
    sentence = on_a_full_disk(tmp_path / "run", "Run.create(path, {'big': big}, {})")
    assert "can't be written: File too large" in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_made_wave(run: Run) -> None:
    before = files(run.path)
    sentence = on_a_full_disk(run.path, "Run.open(path).commit_wave(1, 0, frame)")
    assert "part-0000.parquet: can't be written: File too large" in sentence
    assert files(run.path) == before
    assert run.wave(1, 0) is None


def test_a_full_disk_leaves_no_half_made_round(run: Run) -> None:
    on_a_full_disk(run.path, "Run.open(path).commit_round(0, {'scores': frame}, {}, {})")
    assert run.rounds_done == 0
    assert not list(run.path.rglob("*partial*"))


def test_a_full_disk_leaves_no_half_made_checkpoint(run: Run) -> None:
    action = """
    import torch
    from safetensors.torch import save_file
    def write(out):
        out.mkdir()
        save_file({"w": torch.zeros(9_000)}, out / "adapter_model.safetensors")
    Run.open(path).write_checkpoint(1, write)
    """
    assert "can't be written" in on_a_full_disk(run.path, action.strip())
    assert run.checkpoint(1) is None
    assert not list(run.path.rglob("*partial*"))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be written: Not a directory"):
        Run.create(tmp_path / "file" / "run", {}, {})
    with pytest.raises(StoreError, match="can't be written"):
        Run.create(Path("/proc/undertow/run"), {}, {})


def test_an_existing_folder_is_refused_untouched(run: Run) -> None:
    before = (run.path / "manifest.json").read_bytes()
    with pytest.raises(StoreError, match="already exists; continue it with 'resume"):
        Run.create(run.path, {"name": "y"}, {"seed": 1})
    assert (run.path / "manifest.json").read_bytes() == before


def test_remains_of_a_killed_creation_are_no_obstacle(tmp_path: Path) -> None:
    remains = tmp_path / ".run.7.partial"  # of another process
    remains.mkdir()
    (remains / "junk").write_text("")
    run = Run.create(tmp_path / "run", {"name": "x"}, {})
    assert files(run.path) == ["manifest.json", "scenario.resolved.yaml"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".run.7.partial", "run"]


def test_what_a_killed_writer_left_in_the_round_at_work_goes(run: Run) -> None:
    at_work = run.folder(0) / "conversations"
    at_work.mkdir(parents=True)
    (at_work / ".part-0000.parquet.0123456789abcdef.partial").write_bytes(b"PAR1")
    (at_work / "part-0000.parquet").write_bytes(b"PAR1")
    with run.locked():
        assert [path.name for path in at_work.iterdir()] == ["part-0000.parquet"]


def test_only_run_folders_are_opened(tmp_path: Path, run: Run) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match="not a run directory"):
            Run.open(path)
    assert Run.open(run.path).manifest == {"seed": 0}


def test_another_process_is_kept_out(run: Run) -> None:
    code = (
        "import sys; from pathlib import Path; from simulator.store.run import Run\n"
        "with Run.open(Path(sys.argv[1])).locked():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(StoreError, match="another process is working on this run"),
            run.locked(),
        ):
            raise AssertionError("two processes hold the lock")
        holder.kill()  # the lock ends with the process, however it ends
        holder.wait()
        with run.locked():
            pass


def test_waves_and_tables_come_back_as_they_were(run: Run) -> None:
    assert run.wave(1, 0) is None
    other = RATED.assign(rating=[2.5, 1 / 3])
    run.commit_wave(1, 1, other)
    run.commit_wave(1, 0, RATED)
    found = run.wave(1, 1)
    assert found is not None
    pd.testing.assert_frame_equal(found, other)
    assert run.candidates(1)["rating"].tolist() == [1.0, 5.0, 2.5, 1 / 3]
    assert run.candidates(0).empty
    summary = {"round": 0, "phase": "", "estimates": []}
    run.commit_round(0, {"scores": SCORES}, summary, {"wall": 1.0})
    pd.testing.assert_frame_equal(run.table(0, "scores"), SCORES)
    assert (run.summary(0), run.timing(0)) == (summary, {"wall": 1.0})


def test_rounds_count_from_the_first_without_gaps(run: Run) -> None:
    for number in (0, 1, 3):
        run.commit_round(number, {}, {}, {})
    assert run.rounds_done == 2
    (run.folder(0) / DONE).unlink()
    assert run.rounds_done == 0


def test_a_failed_checkpoint_leaves_the_last_one(run: Run) -> None:
    def good(out: Path) -> str:
        out.mkdir()
        (out / "adapter_model.safetensors").write_bytes(b"weights")
        return "made"

    def bad(out: Path) -> None:
        out.mkdir()
        (out / "adapter_model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    assert run.write_checkpoint(1, good) == "made"
    with pytest.raises(StoreError, match="No space left on device"):
        run.write_checkpoint(2, bad)
    adapter = run.adapter(3)
    assert adapter is not None
    assert adapter.path == run.folder(1) / "checkpoint"
    assert adapter.name == "r0001-" + hashlib.sha256(b"weights").hexdigest()[:8]
    assert run.adapter(0) is None


def test_done_lists_the_hash_of_every_file(tiny_run: Run) -> None:
    assert tiny_run.rounds_done == 3
    for number in range(3):
        folder, hashes = tiny_run.folder(number), tiny_run.files(number).hashes
        assert sorted(n for n in hashes if not n.startswith("..")) == [
            file for file in files(folder) if file != DONE
        ]
        below = {"../../manifest.json", "../../scenario.resolved.yaml"}
        assert hashes.keys() >= (below if number == 0 else {f"../{number - 1:04d}/{DONE}"})
        assert hashes == {name: file_sha256(folder / name) for name in hashes}
    assert "checkpoint/adapter_model.safetensors" in hashes
    assert "conversations/part-0001.parquet" in hashes


def test_no_file_of_a_run_is_a_pickle(tiny_run: Run) -> None:
    suffixes = set()
    for path in tiny_run.path.rglob("*"):
        if path.is_file() and path.name != ".lock":
            suffixes.add(path.suffix or path.name)
            content = path.read_bytes()
            assert b"\x80\x04\x95" not in content[:64]
            with pytest.raises(Exception):  # noqa: B017  # no pickle opcodes from start to end
                list(pickletools.genops(content))
    assert suffixes == {".json", ".yaml", ".parquet", ".safetensors", DONE}


RACING = """
import sys, time
from pathlib import Path
from simulator.config.loading import load
from simulator.core.errors import StoreError
from simulator.experiments.run import _create

out = Path(sys.argv[1]) if sys.argv[1] else None
scenario = load("quickstart")
print("ready", flush=True)
sys.stdin.readline()
try:
    run = _create(scenario, out, {"who": sys.argv[2]})
    print(run.path, run.manifest["who"])
    time.sleep(1)  # as long as it lives, the run is its own
except StoreError as error:
    print("error", error)
"""


def created_at_once(folder: Path, out: str, count: int = 6) -> list[str]:
    """Several processes make a run at the same instant; returns what each says."""
    command = [sys.executable, "-c", RACING, out]
    racing = [
        subprocess.Popen([*command, str(n)], cwd=folder, stdin=subprocess.PIPE, text=True,
                         stdout=subprocess.PIPE)
        for n in range(count)
    ]  # fmt: skip
    for process in racing:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in racing:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate()[0].strip() for process in racing]


def test_of_several_starts_each_gets_a_directory_of_its_own(tmp_path: Path) -> None:
    said = created_at_once(tmp_path, "")
    assert sorted(line.split()[0] for line in said) == [
        f"runs/quickstart-{n:03d}" for n in range(1, 7)
    ]
    for n, line in enumerate(said):
        assert line.split()[1] == str(n)  # none is a mixture of two
    assert not list(tmp_path.rglob("*.partial"))


def test_of_several_starts_one_gets_the_directory_that_all_want(tmp_path: Path) -> None:
    said = created_at_once(tmp_path, "mine")
    made = [line for line in said if not line.startswith("error")]
    assert len(made) == 1 and made[0].startswith("mine ")
    assert json.loads((tmp_path / "mine" / "manifest.json").read_text())["who"] == made[0][5:]
    for line in set(said) - set(made):
        assert "already exists" in line or "another process is working on this run" in line
