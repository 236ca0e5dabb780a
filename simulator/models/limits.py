"""What a model's folder says that every engine needs to know."""

import contextlib

from transformers import AutoConfig, GenerationConfig

from simulator.core.errors import BackendError


def context_of(model: str, wanted: int | None) -> int:
    """Returns how many tokens may be read and written: what is wanted, or all that the model can.

    Raises:
        BackendError: the model can't do as much as is wanted.
    """
    longest: int = AutoConfig.from_pretrained(model).get_text_config().max_position_embeddings
    if wanted is not None and wanted > longest:
        raise BackendError(
            f"backend.context: {wanted} is more than the {longest} tokens that the model '{model}' "
            "can take; lower it, or leave it empty"
        )
    return wanted or longest


def end_tokens(model: str) -> list[int]:
    """Returns the tokens that end a reply; not every model comes with a generation config."""
    found = None
    with contextlib.suppress(OSError):
        found = GenerationConfig.from_pretrained(model).eos_token_id
    if found is None:
        found = AutoConfig.from_pretrained(model).get_text_config().eos_token_id
    return [found] if isinstance(found, int) else list(found or [])
