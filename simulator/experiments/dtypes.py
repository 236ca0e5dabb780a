"""The type of weights that `dtype: auto` stands for on this machine, which a run keeps."""

from simulator.backends.config import TransformersConfig
from simulator.config.scenario import Scenario
from simulator.core.errors import BackendError


def dtype_here(scenario: Scenario) -> str | None:
    """Return the type of the assistant's weights in this process, as `bfloat16`.

    It is None where the engine decides: in another process, at an endpoint, or on a GPU.
    """
    from simulator.models.devices import device_of, dtype_of
    from simulator.models.pretrained import checked_config

    backend = scenario.backend
    if not isinstance(backend, TransformersConfig):
        return None
    try:
        config = checked_config(scenario.assistant_ref)
        found = str(dtype_of(backend.dtype, device_of(backend.device), config))
    except BackendError:
        return None
    return None if found == "auto" else found.removeprefix("torch.")


def with_dtype(scenario: Scenario, dtype: str | None) -> Scenario:
    """Return the scenario with the type that its run began with, where it says `auto`.

    A CPU with other instructions would choose another one, and change the results.
    """
    backend = scenario.backend
    if not dtype or not isinstance(backend, TransformersConfig) or backend.dtype != "auto":
        return scenario
    from simulator.models.devices import device_of

    if device_of(backend.device).type != "cpu":
        return scenario
    return scenario.model_copy(update={"backend": backend.model_copy(update={"dtype": dtype})})
