"""Comparing a model with the tensors in its files, by transformers' account of its loading.

transformers draws at random what is missing, and drops what a model has no place for.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from transformers import PreTrainedModel

from simulator.core.errors import BackendError
from simulator.models.reference import ModelRef

LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\..*\.(?:weight|bias)$")
# Parts of other kinds of models, and constants that older versions saved with the weights.
ELSEWHERE = re.compile(r"vision|visual|audio|encoder|mtp|rotary|inv_freq|masked_bias|attn\.bias$")
SHOWN = 3


def check_tensors(model: ModelRef, loaded: PreTrainedModel, info: Mapping[str, Any]) -> None:
    """Refuse a model whose files lack tensors, or have others than its configuration says.

    Args:
        model: names it.
        loaded: the model.
        info: transformers' account.

    Raises:
        BackendError: names some of the tensors.
    """
    if getattr(loaded, "_hf_peft_config_loaded", False):
        raise BackendError(
            f"the model '{model}' can't be used: transformers found an adapter with it and loaded "
            "both; name its base, or a model into which the adapter is merged"
        )
    if missing := info["missing_keys"]:
        raise BackendError(
            f"the model '{model}' can't be used: its files lack {_some(missing)}, which would be "
            f"random; a {type(loaded).__name__} needs them, so its files are incomplete or of "
            "another kind of model"
        )
    if differing := sorted(info["mismatched_keys"]):
        name, stored, wanted = differing[0]
        raise BackendError(
            f"the model '{model}' can't be used: {name} is {tuple(stored)} in its files, but "
            f"{tuple(wanted)} by its config.json; the two don't belong together"
        )
    if surplus := [name for name in info["unexpected_keys"] if _matters(name, loaded)]:
        raise BackendError(
            f"the model '{model}' can't be used: its files have {_some(surplus)}, for which its "
            "config.json has no place; the two don't belong together"
        )


def _matters(name: str, loaded: PreTrainedModel) -> bool:
    """Return whether a tensor without a place belongs to the decoder's layers."""
    found = LAYER.search(name)
    if found is None or ELSEWHERE.search(name):
        return False
    config = loaded.config.get_text_config()
    predicted = bool(getattr(config, "num_nextn_predict_layers", 0))  # layers after the last
    return not (predicted and int(found[1]) >= config.num_hidden_layers)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - SHOWN} more tensors" if len(ordered) > SHOWN else ""
    return f"{', '.join(ordered[:SHOWN])}{more}"
