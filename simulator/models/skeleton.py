"""A model without its weights, compared with the tensors in its files, which aren't read."""

from functools import lru_cache

from transformers import PreTrainedModel

from simulator.models.folder import (
    FolderState,
    check_folder,
    has_weights,
    quantisation_of,
    state_of,
)
from simulator.models.pretrained import checked_config, load_causal_lm
from simulator.models.reference import ModelRef
from simulator.models.weights_files import Shapes

REMEMBERED = 8  # models


def skeleton_of(model: ModelRef) -> PreTrainedModel | None:
    """Return a local model on the meta device, after comparing it with its files.

    Returns:
        The model; None for a hub id, for Python of the folder's own, and for quantised weights,
        whose tensors have other shapes.

    Raises:
        BackendError: it isn't a causal language model, or its files don't fit it.
    """
    return None if check_folder(model) is None else _skeleton(model, state_of(model))


def parameter_shapes(model: ModelRef) -> Shapes | None:
    """Return the shapes of a local model's parameters, by name; None where they aren't known."""
    folder = check_folder(model, weights=False)
    built = skeleton_of(model) if folder and has_weights(folder) else None
    return built and {name: tuple(p.shape) for name, p in built.named_parameters()}


@lru_cache(maxsize=REMEMBERED)
def _skeleton(model: ModelRef, state: FolderState) -> PreTrainedModel | None:
    """Build it once for each state of its files."""
    config = checked_config(model)
    if quantisation_of(config.to_dict()) or (
        model.trust_remote_code and getattr(config, "auto_map", None)
    ):
        return None
    return load_causal_lm(model, device_map="meta")
