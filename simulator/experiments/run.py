"""Starting and resuming runs: names, manifests, locks."""

import importlib.metadata
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simulator import __version__
from simulator.config.paths import changed_files, data_sha256
from simulator.config.scenario import Scenario
from simulator.core.errors import Interrupted, StoreError
from simulator.experiments.unstarted import (
    is_unstarted,
    remove_unstarted,
    removed_if_unstarted,
)
from simulator.loop import simulate
from simulator.runtime.budget import note_cap
from simulator.runtime.chat_templates import chat_templates
from simulator.runtime.dtypes import dtype_here, scenario_of, with_dtype
from simulator.runtime.fetching import fetch_models
from simulator.runtime.model_checks import check_models
from simulator.runtime.observers import Observer
from simulator.runtime.preflight import check_chats
from simulator.runtime.shared import NOTHING, Shared
from simulator.store.earlier_formats import FORMAT, RESULTS
from simulator.store.run import LEFT_OUT, Run

PACKAGES = ("torch", "transformers", "peft", "mesa", "numpy", "pandas", "pyarrow")


def free_path(parent: Path, name: str) -> Path:
    """Return the first of `name-001`, `name-002`, … that doesn't exist yet."""
    number = 1
    while (path := parent / f"{name}-{number:03d}").exists():
        number += 1
    return path


def manifest_of(scenario: Scenario) -> dict[str, Any]:
    """Return the facts needed to repeat a run: versions, seed, hashes of files, chat templates."""
    return {
        "format": FORMAT,
        "results": RESULTS,
        "undertow": __version__,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "scenario": scenario.name,
        "seed": scenario.seed,
        "model": scenario.model,
        "model_sha256": scenario.model_sha256,
        "data_sha256": data_sha256(scenario),
        "chat_templates": chat_templates(scenario),
        "biased_share": scenario.biased_share,
        "threads": getattr(scenario.backend, "threads", None),
        "backend": scenario.backend.kind,
        "dtype": dtype_here(scenario),
        "roles": {name: f"{r.model} on {r.backend.kind}" for name, r in scenario.roles.items()},
        "determinism": "exact" if "exact" in scenario.backend.capabilities else "best_effort",
    }


def start(
    scenario: Scenario, out: Path | None, observer: Observer, shared: Shared = NOTHING
) -> Run:
    """Make the run directory and run the scenario in it.

    A directory in which nothing was computed is no obstacle, and none is left behind.

    Args:
        scenario: what to run.
        out: the run directory; None: a new one under `runs/`.
        observer: gets the progress.
        shared: what it needn't make itself.

    Raises:
        BackendError: a model can't be fetched.
        StoreError: the directory exists or can't be written.
        ScenarioError: data of a phase can't be used; lists all mistakes.
    """
    observer.stage(0, "checking models and rows")
    check_models(scenario)
    fetch_models([scenario], observer.note)
    check_models(scenario)  # what was fetched can be looked into only now
    findings = check_chats(scenario)
    for sentence in findings.sentences:
        observer.note(sentence)
    manifest = manifest_of(scenario)
    if findings.left_out:
        manifest[LEFT_OUT] = findings.counts
    if shared.server is not None:
        manifest["server"] = "shared by the runs of a sweep"
    run = _create(scenario, out, manifest)
    with removed_if_unstarted(run):
        if findings.left_out:
            run.write_left_out(findings.rows_left_out)
        _continue(with_dtype(scenario, manifest["dtype"]), run, observer, shared)
    return run


def _create(scenario: Scenario, out: Path | None, manifest: dict[str, Any]) -> Run:
    """Make the run's directory, which other processes may try to make at the same moment."""
    content = scenario.model_dump(mode="json")
    if out is not None:
        remove_unstarted(out)
        return Run.create(out, content, manifest, locked=True)
    while True:
        path = free_path(Path("runs"), scenario.name)
        try:
            return Run.create(path, content, manifest, locked=True)
        except StoreError:
            if not path.exists():
                raise


def _continue(scenario: Scenario, run: Run, observer: Observer, shared: Shared) -> None:
    try:
        with run.locked():
            simulate(scenario, run, observer, shared)
    except KeyboardInterrupt:
        if is_unstarted(run.path):
            raise Interrupted("stopped before anything was computed; start it again") from None
        raise Interrupted(
            f"stopped; finished waves are kept, and 'python -m simulator resume {run.path}' goes on"
        ) from None


def resume(
    path: Path,
    observer: Observer,
    cost_cap: float | None = None,
    shared: Shared = NOTHING,
) -> Run:
    """Continue a run from its last committed wave; a finished one isn't changed.

    Args:
        path: the run directory.
        observer: gets the progress.
        cost_cap: the new cap, which the run keeps beside its original scenario.
        shared: what it needn't make itself.

    Raises:
        StoreError: it isn't a run directory, or was started with other versions or data.
    """
    run = Run.open(path)
    observer.stage(run.rounds_done, "checking what is done")
    scenario = scenario_of(run)
    if (results := run.manifest.get("results", 1)) != RESULTS:
        raise StoreError(
            f"{path}: written by another version of this program (results {results}, here "
            f"{RESULTS}), which gives other bytes; show, report and probe take it, but it can't be "
            "resumed; start a new run"
        )
    changed = _changed_versions(run.manifest)
    if changed:
        raise StoreError(
            f"{path}: started with other versions ({'; '.join(changed)}), so it can't be resumed "
            "to the same bytes; install those versions, or start a new run"
        )
    data = data_sha256(scenario)
    if other := changed_files(run.manifest.get("data_sha256", data), data):
        raise StoreError(
            f"{path}: started with other data ({'; '.join(other)}); restore those files, or start "
            "a new run"
        )
    fetch_models([scenario], observer.note)
    if cost_cap is not None:
        with run.locked():
            note_cap(run.path, cost_cap)
    _continue(scenario, run, observer, shared)
    return run


def _changed_versions(manifest: dict[str, Any]) -> list[str]:
    now = {name: importlib.metadata.version(name) for name in PACKAGES}
    then: dict[str, str] = manifest.get("packages", {})
    return [f"{name} {then[name]}, now {now[name]}" for name in then if now.get(name) != then[name]]
