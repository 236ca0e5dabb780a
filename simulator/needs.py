"""What the parts of a scenario need of each other: checked when it is read, before any work."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulator import models
from simulator.cast import ROLES
from simulator.yaml_source import YamlPath

if TYPE_CHECKING:
    from simulator.scenario import Scenario


def unmet_needs(scenario: "Scenario") -> Iterator[tuple[YamlPath, str]]:
    """Yields where something lacks what it needs, and what that is."""
    backend = scenario.backend
    if scenario.learner.kind != "none" and "adapters" not in backend.capabilities:
        yield ("backend",), f"'{backend.kind}' serves no adapters, but this run has updates"
    for name, probe in scenario.measure.probes.items():
        path: YamlPath = ("measure", "probes", name)
        if lacking := probe.needs - backend.capabilities:
            yield path, f"needs {', '.join(sorted(lacking))}, which '{backend.kind}' lacks"
        yield from _of_model(scenario, path, "world" if probe.of_world else "")
        yield from _of_roles(scenario, path, probe.roles)
    for name, user_type in scenario.population.types.items():
        for part in ("policy", "rater"):
            asker = getattr(user_type, part)
            path = ("population", "types", name, part)
            yield from _of_model(scenario, path, asker.needs)
            yield from _of_roles(scenario, path, asker.roles)
    for name, monitor in scenario.monitors.items():
        yield from _of_roles(scenario, ("monitors", name), monitor.roles)


def _of_roles(
    scenario: "Scenario", path: YamlPath, roles: frozenset[str]
) -> Iterator[tuple[YamlPath, str]]:
    for role in sorted(roles - {*ROLES, *scenario.roles}):
        yield (*path, "role"), f"there is no role '{role}'; name its model as 'roles.{role}'"


def _of_model(scenario: "Scenario", path: YamlPath, needs: str) -> Iterator[tuple[YamlPath, str]]:
    if needs == "situations" and not scenario.situations:
        yield path, "needs situations, but the scenario has none: set 'situations: therapy'"
    if needs == "world" and not models.is_organism(scenario.model):
        yield (
            path,
            f"belongs to the organism's world, but the model '{scenario.model}' is no organism "
            "(it has no world.json)",
        )
