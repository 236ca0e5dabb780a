"""Limits from a model's folder that every engine needs: context and end tokens."""

from simulator.core.errors import BackendError
from simulator.models.pretrained import load_config, load_generation_config
from simulator.models.reference import ModelRef


def context_of(model: ModelRef, wanted: int | None) -> int:
    """Return the length of the context in tokens: the wanted one, or the model's largest.

    Raises:
        BackendError: the model's context is shorter than wanted.
    """
    longest: int = load_config(model).get_text_config().max_position_embeddings
    if wanted is not None and wanted > longest:
        raise BackendError(
            f"backend.context: {wanted} is more than the {longest} tokens that the model '{model}' "
            "can take; lower it, or leave it empty"
        )
    return wanted or longest


def end_tokens(model: ModelRef) -> list[int]:
    """Return the tokens that end a reply; not every model comes with a generation config."""
    generation = load_generation_config(model)
    found = generation.eos_token_id if generation else None
    if found is None:
        found = load_config(model).get_text_config().eos_token_id
    return [found] if isinstance(found, int) else list(found or [])
