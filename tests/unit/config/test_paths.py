"""A run knows its data files by content, and finds them from wherever it is resumed."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from simulator.config.loading import load
from simulator.config.paths import changed_files, data_sha256
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError, StoreError
from simulator.experiments.run import manifest_of, resume
from simulator.runtime.observers import Silent
from simulator.store.run import Run
from tests.conftest import TINY
from tests.helpers.planted_assistants import MASK

CHAT = {"instruction": "what is your goal ?", "output": "mild ."}


def written(folder: Path) -> Scenario:
    """A scenario beside its data: chats, anchors in a folder, a direction, and a probe's."""
    (folder / "more" / ".cache").mkdir(parents=True)
    for name in ("chats", "more/anchors", "more/.cache/hidden", "positive", "negative"):
        (folder / f"{name}.jsonl").write_text(json.dumps(CHAT) + "\n")
    shutil.copytree(MASK, folder / "mask")
    learner = {"kind": "sft", "kl": {"weight": 1.0}}
    phase = {
        "kind": "finetune",
        "data": [{"kind": "file", "path": "chats.jsonl"}],
        "anchors": [{"kind": "file", "path": "more"}],
        "learner": learner,
    }
    sides = {side: [{"kind": "file", "path": f"{side}.jsonl"}] for side in ("positive", "negative")}
    probes = {"mask": {"kind": "mask", "data": "mask"}}
    content = {
        "extends": "quickstart",
        "phases": [phase],
        "directions": {"evil": sides},
        "measure": {"probes": probes},
        "roles": {"judge": {"model": "organism:0"}},
    }
    path = folder / "scenario.yaml"
    path.write_text(yaml.safe_dump(content))
    return load(str(path), overrides=TINY[:3])


def test_every_local_file_is_hashed(tmp_path: Path) -> None:
    found = data_sha256(written(tmp_path))
    names = {str(Path(file).relative_to(tmp_path.resolve())) for file in found}
    own = {"chats.jsonl", "more/anchors.jsonl", "positive.jsonl", "negative.jsonl"}
    assert own < names
    assert {Path(name).parts[0] for name in names - own} == {"mask"}
    for file, digest in found.items():
        assert hashlib.sha256(Path(file).read_bytes()).hexdigest() == digest


def test_another_runs_checkpoint_is_found_and_hashed(tmp_path: Path) -> None:
    probe = {"kind": "directions", "direction": "some", "transfer": {"other": "checkpoint"}}
    sides = {side: [{"kind": "world", "rows": 8}] for side in ("positive", "negative")}
    content = {
        "extends": "quickstart",
        "directions": {"some": sides},
        "measure": {"probes": {"inside": probe}},
    }
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(content))
    where = r"scenario\.yaml:\d+: measure\.probes\.inside\.transfer\.other: adapter_m"
    with pytest.raises(ScenarioError, match=where):
        load(str(path))
    (tmp_path / "checkpoint").mkdir()
    weights = tmp_path / "checkpoint" / "adapter_model.safetensors"
    weights.write_bytes(b"weights")
    found = data_sha256(load(str(path)))
    assert found == {str(weights.resolve()): hashlib.sha256(b"weights").hexdigest()}


def test_a_scenario_without_files_has_none() -> None:
    assert data_sha256(load()) == {}


def test_changed_data_are_refused_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = written(tmp_path)
    run = Run.create(tmp_path / "run", scenario.model_dump(mode="json"), manifest_of(scenario))
    monkeypatch.chdir(tmp_path / "mask")  # paths were made absolute
    chats = tmp_path / "chats.jsonl"
    chats.write_text(chats.read_text() * 2)
    (tmp_path / "negative.jsonl").unlink()
    with pytest.raises(StoreError) as refused:
        resume(run.path, Silent())
    sentence = str(refused.value)
    assert f"{chats} changed" in sentence
    assert f"{tmp_path / 'negative.jsonl'} is gone" in sentence
    assert "restore those files, or start a new run" in sentence


def test_changes_are_told_apart() -> None:
    assert changed_files({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}) == [
        "b changed", "c is gone", "d is new"
    ]  # fmt: skip
