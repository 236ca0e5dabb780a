"""Which models our decode loop can continue: those whose only memory is keys and values."""

import inspect

from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from simulator.core.errors import BackendError


def check_cache(model: PreTrainedModel) -> None:
    """Refuse a model that carries another state from token to token, as Mamba does.

    Such a state can't be split over samples, nor padded.

    Raises:
        BackendError: names its architecture.
    """
    takes_cache = "past_key_values" in inspect.signature(model.forward).parameters
    layers = DynamicCache(config=model.config).layers if takes_cache else []
    splits = all(hasattr(layer, "batch_select_indices") for layer in layers)
    if getattr(model, "_is_stateful", False) or not (takes_cache and splits):
        raise BackendError(
            f"a {type(model).__name__} carries a state from token to token, which the transformers "
            "backend can't serve; set backend: {kind: vllm}, or name a model with attention only"
        )
