"""Checking all local models that a scenario names before the run starts.

Hub ids and the names of endpoints' models are taken as they are: nothing is asked of a network.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from simulator.backends.config import (
    AnyBackend,
    AutoConfig,
    OpenAIConfig,
    TransformersConfig,
    VLLMConfig,
)
from simulator.config.document import dotted
from simulator.config.scenario import Scenario
from simulator.core.errors import BackendError, LearnerError, ScenarioError
from simulator.learners.config import LoRAConfig, UpdateConfig
from simulator.learners.places import check_places
from simulator.models.adapter_folder import Frame, check_fit
from simulator.models.folder import (
    CONFIG,
    FolderState,
    check_folder,
    check_library,
    quantisation_of,
    state_of,
)
from simulator.models.reference import ModelRef
from simulator.models.weights_files import Shapes, model_shapes, read_object
from simulator.simulation.config import ASSISTANT

SIZES = ("num_hidden_layers", "hidden_size", "max_position_embeddings")
REMEMBERED = 32  # models
LINEAR = re.compile(r"^model\.layers\.\d+\.(?:.*\.)?([^.]+)\.weight$")  # of the organism


class Used(NamedTuple):
    """A model and the engine that serves it."""

    role: str
    model: ModelRef
    backend: TransformersConfig | VLLMConfig
    learns: tuple[UpdateConfig, ...]  # the updates that change it

    @property
    def where(self) -> str:
        """Its place in the scenario."""
        return "model" if self.role == ASSISTANT else f"roles.{self.role}.model"


def check_models(scenario: Scenario) -> None:
    """Check the folders of the assistant and of all roles in use, and what is named in them.

    Raises:
        ScenarioError: some can't be used; names their place in the scenario.
    """
    mistakes = list[str]()
    for used in used_models(scenario):
        try:
            frame = _checked(used, state_of(used.model))
            if frame is not None and used.role == ASSISTANT:
                mistakes += _missing_places(scenario, used, frame)
        except (BackendError, LearnerError) as error:
            mistakes.append(f"{used.where}: {error}")
    if mistakes:
        raise ScenarioError(*mistakes)


def used_models(scenario: Scenario) -> Iterator[Used]:
    """Yield the models that are loaded here, or whose tokenizer is."""
    updates = tuple(learner for learner in scenario.learners if isinstance(learner, UpdateConfig))
    if engine := _local(scenario.backend):
        yield Used(ASSISTANT, scenario.assistant_ref, engine, updates)
    for name in sorted(scenario.asked_roles - {ASSISTANT}):
        role = scenario.roles.get(name)
        if role and (engine := _local(role.backend)):
            yield Used(name, scenario.role_ref(role), engine, ())


def _local(backend: AnyBackend) -> TransformersConfig | VLLMConfig | None:
    chosen = backend.chosen if isinstance(backend, AutoConfig) else backend
    return None if isinstance(chosen, OpenAIConfig) else chosen


@lru_cache(maxsize=REMEMBERED)
def _checked(used: Used, state: FolderState) -> Frame | None:
    """Check a model, once for each state of its files, as a sweep has many runs of one model.

    Returns:
        Where adapters can be put, or None where that can't be told.

    Raises:
        BackendError: it can't be used.
    """
    loads = isinstance(used.backend, TransformersConfig)
    remote = isinstance(used.backend, VLLMConfig) and bool(used.backend.url)
    folder = check_folder(used.model, weights=bool(used.learns) or not remote)
    if folder is None:
        return None
    if loads or used.learns:
        check_library(folder)
    _check_merging(folder, used)
    if (folder / "world.json").is_file():
        return _organism(folder, used)
    return _pretrained(used, loads=loads, built=bool(used.learns) or not remote)


def _check_merging(folder: Path, used: Used) -> None:
    """Refuse to merge adapters into quantised weights, whose values have other scales."""
    method = quantisation_of(read_object(folder / CONFIG))
    beside = isinstance(used.backend, VLLMConfig) and used.backend.adapters != "merged"
    if method and not beside and any(isinstance(u.adapter, LoRAConfig) for u in used.learns):
        raise BackendError(
            f"the model '{folder}' can't learn: its weights are quantised by {method}, so adapters "
            "can't be merged into them; set backend: {kind: vllm, adapters: beside}, or "
            "name the unquantised model"
        )


def _organism(folder: Path, used: Used) -> Frame:
    """Read an organism's parts from its files, without model libraries."""
    config, weights = read_object(folder / CONFIG), model_shapes(folder)
    try:
        layers, width, longest = (int(config[key]) for key in SIZES)
    except (KeyError, TypeError, ValueError):
        raise BackendError(f"{folder / CONFIG}: it lacks one of {', '.join(SIZES)}") from None
    wanted = used.backend.context
    if wanted is not None and wanted > longest:
        raise BackendError(
            f"backend.context: {wanted} is more than the {longest} tokens that it can take; lower "
            "it, or leave it empty"
        )
    matrices = (name for name, shape in weights.items() if len(shape) == 2)
    linear = frozenset(found[1] for found in map(LINEAR.match, matrices) if found)
    return Frame("organism", weights, layers, width, linear)


def _pretrained(used: Used, *, loads: bool, built: bool) -> Frame | None:
    """Build a model without its weights, and look at its parts."""
    from simulator.backends.caches import check_cache
    from simulator.backends.vllm_adapters import merges
    from simulator.interp.steering import layers_of, linear_modules, width_of
    from simulator.models.limits import context_of, end_tokens
    from simulator.models.pretrained import checked_config
    from simulator.models.skeleton import skeleton_of

    checked_config(used.model)
    skeleton = skeleton_of(used.model) if built else None
    if skeleton is not None and loads:
        check_cache(skeleton)
    context_of(used.model, used.backend.context)
    end_tokens(used.model)
    if skeleton is None:
        return None
    weights: Shapes = {name: tuple(p.shape) for name, p in skeleton.named_parameters()}
    linear = frozenset(linear_modules(skeleton))
    if isinstance(used.backend, VLLMConfig) and used.learns and merges(used.backend):
        _check_names(used.model, weights, linear)
    layers, width = len(layers_of(skeleton)), width_of(skeleton)
    return Frame(type(skeleton).__name__, weights, layers, width, linear)


def _check_names(model: ModelRef, weights: Shapes, linear: frozenset[str]) -> None:
    """Refuse to merge into a server's weights whose names in the files differ from the model's."""
    stored = model_shapes(Path(model.path))
    adapted = (name for name in weights if name.removesuffix(".weight").split(".")[-1] in linear)
    if renamed := next((name for name in adapted if name not in stored), None):
        raise BackendError(
            f"the model '{model}' has {renamed} under another name in its files, so vLLM can't "
            "merge adapters; set backend.adapters: beside, or backend: {kind: transformers}"
        )


def _missing_places(scenario: Scenario, used: Used, frame: Frame) -> Iterator[str]:
    """Yield the mistakes of layers, modules and adapters for which the model has no place."""
    for update in used.learns:
        try:
            check_places(update.adapter, frame.layers, frame.linear, frame.architecture)
        except LearnerError as error:
            yield str(error)
    for name, direction in scenario.directions.items():
        if direction.layer is not None and direction.layer >= frame.layers:
            yield (
                f"directions.{name}.layer: unknown layer {direction.layer}; the model's layers are "
                f"0 to {frame.layers - 1}"
            )
    for name, probe in scenario.measure.probes.items():
        for place, folder in probe.checkpoints.items():
            try:
                check_fit(Path(folder), frame)
            except BackendError as error:
                yield f"{dotted(('measure', 'probes', name, *place))}: {error}"
