"""Dividing a GPU's memory among the vLLM servers that a run starts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

from simulator.backends.config import SERVERS_SHARE, AnyBackend, VLLMConfig
from simulator.core.errors import ScenarioError

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


def with_memory_shares(scenario: "Scenario") -> "Scenario":
    """Divide the memory left by servers with set shares among those without.

    Raises:
        ScenarioError: nothing is left.
    """
    # Unused roles have no server, and roles with equal settings share one.
    asked = [config for role, config in scenario.roles.items() if role in scenario.asked_roles]
    unlike = {config.model_dump_json(): config.backend for config in asked}
    backends = [scenario.backend, *unlike.values()]
    own = [backend.memory_share for backend in backends if _is_started(backend)]
    if None not in own:
        return scenario
    share = share_of_each(own)

    def shared(backend: AnyBackend) -> AnyBackend:
        if not _is_started(backend) or backend.memory_share is not None:
            return backend
        return backend.model_copy(update={"memory_share": share})

    roles = {
        name: config.model_copy(update={"backend": shared(config.backend)})
        for name, config in scenario.roles.items()
    }
    return scenario.model_copy(update={"backend": shared(scenario.backend), "roles": roles})


def _is_started(backend: AnyBackend) -> TypeGuard[VLLMConfig]:
    return isinstance(backend, VLLMConfig) and not backend.url


def share_of_each(own: Sequence[float | None]) -> float:
    """Return the share of each server without a set share; there is at least one.

    Raises:
        ScenarioError: nothing is left.
    """
    left = SERVERS_SHARE - sum(share for share in own if share is not None)
    if left <= 0:
        raise ScenarioError(
            "backend.memory_share: nothing is left for the servers without a share of their own "
            f"(all servers have {SERVERS_SHARE:.0%} together); lower the shares, or set one for "
            "every server"
        )
    return left / own.count(None)
