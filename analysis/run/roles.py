"""The roles of a run and the scales of its judges, read from its scenario."""

from pathlib import PurePath
from typing import NamedTuple

from simulator.probes.registry import probe_of
from simulator.store.run import Run

OWN_BASE = "the assistant's, without an adapter"


class RoleModel(NamedTuple):
    """The model that plays a role."""

    model: str
    backend: str


class Scale(NamedTuple):
    """A scale that a model judges replies on."""

    name: str
    low: int
    high: int
    judge: str  # its display name

    @property
    def bounds(self) -> str:
        """The scale's range as text."""
        return f"{self.low}–{self.high}"


def role_model(run: Run, role: str) -> RoleModel:
    """Return the model of a role; by default the assistant's base model."""
    own = (run.scenario.get("roles") or {}).get(role)
    if own is None:
        return RoleModel(str(run.scenario["model"]), OWN_BASE)
    return RoleModel(str(own["model"]), str(own["backend"]["kind"]))


def judged_probes(run: Run) -> list[str]:
    """Return the names of the probes whose replies a model judges."""
    probes = run.scenario["measure"]["probes"]
    return [str(name) for name, probe in probes.items() if probe["kind"] == "judged"]


def scales(run: Run) -> dict[str, Scale]:
    """Return the scales by name, in the scenario's order; empty without a judge."""
    return {
        str(name): Scale(str(name), scale["low"], scale["high"], _named(run, probe["role"]))
        for probe in (run.scenario["measure"]["probes"][name] for name in judged_probes(run))
        for name, scale in probe["scales"].items()
    }


def asks_world(run: Run) -> bool:
    """Return whether a probe asks about a world."""
    kinds = {probe["kind"] for probe in run.scenario["measure"]["probes"].values()}
    return any(probe.requires_world for kind in kinds if (probe := probe_of(kind)))


def _named(run: Run, role: str) -> str:
    model, backend = role_model(run, role)
    name = PurePath(model).name if PurePath(model).is_absolute() else model
    return f"its own base {name}" if backend == OWN_BASE else name
