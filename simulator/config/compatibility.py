"""The requirements between the parts of a scenario, checked when it is read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulator.backends.config import AnyBackend, OpenAIConfig
from simulator.config.document import YamlPath
from simulator.config.phases import FinetunePhase, LoopPhase, matched_phase
from simulator.core.errors import BackendError, unknown
from simulator.core.examples import Signal
from simulator.learners.config import LoRAConfig, UpdateConfig
from simulator.models.resolve import is_organism, resolve
from simulator.probes.base import Probe
from simulator.simulation.config import ASSISTANT, ROLES
from simulator.simulation.screening import SCREENING_CAPABILITIES

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario

# The signals that only some selections give, and which selections give them.
SIGNALS: dict[Signal, tuple[str, str]] = {
    "undesirable": (
        "undesirable replies as well",
        "{kind: best_worst}, or a top_bottom with a bottom",
    ),
    "pairs": ("pairs of a better and a worse reply to one context", "{kind: best_worst}"),
}


# What beliefs of several tokens, and replies with a given beginning, are read by.
FACT_CAPABILITIES = frozenset({"score_continuations", "prefill"})


def has_prices(scenario: "Scenario") -> bool:
    """Return whether an endpoint that a run asks costs something."""
    used = [role for name, role in scenario.roles.items() if name in scenario.asked_roles]
    backends = [scenario.backend, *(role.backend for role in used)]
    endpoints = [backend for backend in backends if isinstance(backend, OpenAIConfig)]
    return any(endpoint.input_price or endpoint.output_price for endpoint in endpoints)


def unknown_bases(scenario: "Scenario") -> Iterator[tuple[YamlPath, str]]:
    """Yield each model that is named like a shipped base and isn't one."""
    named: dict[YamlPath, tuple[str, AnyBackend]] = {("model",): (scenario.model, scenario.backend)}
    for role, config in scenario.roles.items():
        named["roles", role, "model"] = (config.model, config.backend)
    for path, (model, backend) in named.items():
        if not isinstance(backend, OpenAIConfig):
            try:
                resolve(model)
            except BackendError as error:
                yield path, str(error)


def unmet_needs(scenario: "Scenario") -> Iterator[tuple[YamlPath, str]]:
    """Yield each unmet requirement: its place, and what is missing."""
    if ASSISTANT in scenario.roles:
        yield (
            ("roles", ASSISTANT),
            "invalid role 'assistant'; set the assistant's model with the key 'model'",
        )
    if scenario.facts is not None:
        yield from _of_facts(scenario)
    yield from _of_phases(scenario)
    names = [phase.name for phase in scenario.phases]
    if (baseline := scenario.measure.baseline) and names.count(baseline) != 1:
        yield (
            ("measure", "baseline"),
            f"unknown or ambiguous phase '{baseline}'; name exactly one of {', '.join(names)}",
        )
    for name, probe in scenario.measure.probes.items():
        yield from _of_probe(scenario, ("measure", "probes", name), probe)
    if screening := scenario.screening:
        yield from _of_capabilities(scenario, ("screening",), SCREENING_CAPABILITIES)
        yield from _of_direction(scenario, ("screening", "direction"), screening.direction)
    for name, user_type in scenario.population.types.items():
        for part in ("policy", "rater"):
            asker = getattr(user_type, part)
            path: YamlPath = ("population", "types", name, part)
            yield from _of_model(scenario, path, asker.needs)
            yield from _of_roles(scenario, path, asker.roles)
    for name, monitor in scenario.monitors.items():
        path = ("monitors", name)
        yield from _of_model(scenario, path, monitor.needs)
        yield from _of_roles(scenario, path, monitor.roles)
        if monitor.needs == "world" and _in_situations(scenario):
            yield (
                path,
                f"'{monitor.kind}' reads the organism's items, but the users talk about situations",
            )


def _of_facts(scenario: "Scenario") -> Iterator[tuple[YamlPath, str]]:
    """Yield the unmet requirements of a world of facts."""
    if is_organism(scenario.model):
        yield (
            ("facts",),
            f"'{scenario.model}' can't read English; set model: smollm2, or leave 'facts' out",
        )
    yield from _of_capabilities(scenario, ("facts",), FACT_CAPABILITIES)


def _of_probe(scenario: "Scenario", path: YamlPath, probe: Probe) -> Iterator[tuple[YamlPath, str]]:
    """Yield the unmet requirements of a probe."""
    yield from _of_capabilities(scenario, path, probe.required_capabilities)
    yield from _of_model(scenario, path, "world" if probe.requires_world else "")
    if probe.requires_characters and not is_organism(scenario.model):
        yield path, "asks what only an organism's characters talk about; leave this probe out"
    yield from _of_roles(scenario, path, probe.roles)
    for place, direction in probe.directions.items():
        yield from _of_direction(scenario, (*path, *place), direction)
    yield from _of_model(scenario, path, "situations" if probe.requires_situations else "")
    taught = [phase.name for phase in scenario.phases if isinstance(phase, FinetunePhase)]
    for place, phase in probe.phases.items():
        if taught.count(phase) != 1:
            yield (
                (*path, *place),
                f"unknown or ambiguous phase '{phase}'; name exactly one fine-tuning phase",
            )
    yield from (((*path, *place), lacking) for place, lacking in probe.checks(scenario))


def _of_phases(scenario: "Scenario") -> Iterator[tuple[YamlPath, str]]:
    selection = scenario.selection
    if "pairs" in selection.gives and scenario.conversations.candidates < 2:
        yield (
            ("conversations", "candidates"),
            f"selection '{selection.kind}' compares several replies of a turn; set it to 2 or more",
        )
    forms = []
    for index, phase in enumerate(scenario.phases):
        match = getattr(phase, "match_lengths", None)
        if match and isinstance(scenario.backend, OpenAIConfig):
            yield (
                ("phases", index, "match_lengths"),
                "counts tokens by the assistant's tokenizer, which an endpoint doesn't give",
            )
        if match and matched_phase(scenario.phases, index) is None:
            yield (
                ("phases", index, "match_lengths", "phase"),
                f"unknown phase '{match.phase}'; name a fine-tuning phase before this one",
            )
        learner = scenario.learner_in(phase)
        if isinstance(learner, UpdateConfig):
            own = ("phases", index) if getattr(phase, "learner", None) else ()
            yield from _of_learner(scenario, learner, (*own, "learner"))
            if isinstance(phase, LoopPhase):
                yield from _of_signal(scenario, learner, (*own, "learner"))
            if learner.kl and not getattr(phase, "anchors", ()):
                yield (
                    (*own, "learner", "kl"),
                    f"missing anchors; set phases.{index}.anchors to chats",
                )
            if learner.preventive:
                place = (*own, "learner", "preventive", "direction")
                yield from _of_direction(scenario, place, learner.preventive.direction)
            forms.append(learner.adapter)
            if learner.adapter != forms[0]:
                yield (*own, "learner", "adapter"), "must be the same as in the phase before"


def _of_learner(
    scenario: "Scenario", learner: UpdateConfig, path: YamlPath
) -> Iterator[tuple[YamlPath, str]]:
    backend = scenario.backend
    if "adapters" not in backend.capabilities:
        yield (
            ("backend",),
            f"'{backend.kind}' can't serve the adapters that updates make; set backend: "
            "{kind: transformers}, or learner: {kind: none}",
        )
    room = getattr(backend, "adapter_rank", None)
    if isinstance(learner.adapter, LoRAConfig) and room and learner.adapter.rank > room:
        yield (
            (*path, "adapter", "rank"),
            f"the server takes ranks up to {room}; raise backend.adapter_rank",
        )
    if learner.adapter.kind == "steering" and "steering" not in backend.capabilities:
        yield (
            (*path, "adapter"),
            f"'{backend.kind}' can't serve steering vectors; set backend: {{kind: transformers}} "
            "or adapter: {kind: lora}",
        )


def _of_signal(
    scenario: "Scenario", learner: UpdateConfig, path: YamlPath
) -> Iterator[tuple[YamlPath, str]]:
    selection = scenario.selection
    vetoed = any(monitor.on_veto == "negative" for monitor in scenario.monitors.values())
    if learner.required_signal not in selection.gives and not (
        learner.required_signal == "undesirable" and vetoed
    ):
        signal, remedy = SIGNALS[learner.required_signal]
        yield (
            path,
            f"'{learner.kind}' learns from {signal}, which selection '{selection.kind}' doesn't "
            f"give; set selection: {remedy}",
        )


def _of_roles(
    scenario: "Scenario", path: YamlPath, roles: frozenset[str]
) -> Iterator[tuple[YamlPath, str]]:
    for role in sorted(roles - {ASSISTANT, *ROLES, *scenario.roles}):
        known = [*ROLES, *scenario.roles]
        yield (*path, "role"), f"{unknown('role', role, known)}; or set 'roles.{role}'"


def _in_situations(scenario: "Scenario") -> bool:
    types = scenario.population.types.values()
    return any(user_type.policy.needs == "situations" for user_type in types)


def _of_capabilities(
    scenario: "Scenario", path: YamlPath, needs: frozenset[str]
) -> Iterator[tuple[YamlPath, str]]:
    backend = scenario.backend
    if lacking := needs - backend.capabilities:
        yield (
            path,
            f"needs {', '.join(sorted(lacking))}, which '{backend.kind}' doesn't have; set "
            "backend: {kind: transformers}",
        )


def _of_direction(
    scenario: "Scenario", path: YamlPath, name: str
) -> Iterator[tuple[YamlPath, str]]:
    if name not in scenario.directions:
        yield path, unknown("direction", name, scenario.directions)


def _of_model(scenario: "Scenario", path: YamlPath, needs: str) -> Iterator[tuple[YamlPath, str]]:
    if needs == "situations" and not scenario.situations:
        yield path, "missing situations; set e.g. 'situations: therapy'"
    if needs == "world" and scenario.facts is None and not is_organism(scenario.model):
        yield (
            path,
            f"needs a world to ask about, but the model '{scenario.model}' isn't an organism (it "
            "has no world.json); set 'facts: {}' for facts of the real world",
        )
