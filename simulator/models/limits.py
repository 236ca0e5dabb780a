"""Limits from a model's folder that every engine needs: context and end tokens."""

import contextlib

from transformers import AutoConfig, GenerationConfig

from simulator.core.errors import BackendError


def context_of(model: str, wanted: int | None) -> int:
    """Return the length of the context in tokens: the wanted one, or the model's largest.

    Raises:
        BackendError: the model's context is shorter than wanted.
    """
    longest: int = AutoConfig.from_pretrained(model).get_text_config().max_position_embeddings
    if wanted is not None and wanted > longest:
        raise BackendError(
            f"backend.context: {wanted} is more than the {longest} tokens that the model '{model}' "
            "can take; lower it, or leave it empty"
        )
    return wanted or longest


def end_tokens(model: str) -> list[int]:
    """Return the tokens that end a reply; not every model comes with a generation config."""
    found = None
    with contextlib.suppress(OSError):
        found = GenerationConfig.from_pretrained(model).eos_token_id
    if found is None:
        found = AutoConfig.from_pretrained(model).get_text_config().eos_token_id
    return [found] if isinstance(found, int) else list(found or [])
