"""The type of weights that `dtype: auto` stands for on this machine, which a run keeps."""

from simulator.backends.config import TransformersConfig
from simulator.config.loading import load
from simulator.config.phases import ProbePhase
from simulator.config.scenario import Scenario
from simulator.core.config import Config
from simulator.core.errors import BackendError
from simulator.learners.config import UpdateConfig
from simulator.store.run import Run


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


def scenario_of(run: Run) -> Scenario:
    """Return the scenario of a run, with the type of weights that it began with.

    Raises:
        ScenarioError: its file can't be read.
    """
    return with_dtype(load(str(run.scenario_file)), run.manifest.get("dtype", "float32"))


def with_dtype(scenario: Scenario, dtype: str | None) -> Scenario:
    """Return the scenario with the type that its run began with, where it says `auto` for a CPU.

    A CPU with other instructions would choose another one, and change the results. Learners take
    the type of the backend.
    """
    if not dtype or not isinstance(scenario.backend, TransformersConfig):
        return scenario
    phases = [
        phase if isinstance(phase, ProbePhase) or phase.learner is None
        else phase.model_copy(update={"learner": _typed(phase.learner, dtype)})
        for phase in scenario.phases
    ]  # fmt: skip
    changed = {
        "backend": _typed(scenario.backend, dtype),
        "learner": _typed(scenario.learner, dtype),
        "phases": tuple(phases),
    }
    return scenario.model_copy(update=changed)


def _typed(config: Config, dtype: str) -> Config:
    """Return an engine's or a learner's settings with a type in place of `auto` on a CPU."""
    from simulator.models.devices import device_of

    if not isinstance(config, TransformersConfig | UpdateConfig) or config.dtype != "auto":
        return config
    if isinstance(config, UpdateConfig) and dtype == "float16":  # no learner's type
        return config
    on_cpu = device_of(config.device).type == "cpu"
    return config.model_copy(update={"dtype": dtype}) if on_cpu else config
