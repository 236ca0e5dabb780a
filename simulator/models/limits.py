"""Limits from a model's folder that every engine needs: context and end tokens."""

from simulator.core.errors import BackendError
from simulator.models.chat_template import encoder_of
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


def end_tokens(model: ModelRef) -> tuple[int, ...]:
    """Return the tokens that end a reply; the first one is the one to teach.

    It is what the chat template writes after a reply. The tokenizer's end token and those of the
    model's configuration end a reply, too.

    Raises:
        BackendError: there are none.
    """
    encoder = encoder_of(model)
    ends = [encoder.end_of_turn, encoder.tokenizer.eos_token_id, *_configured_ends(model)]
    found = dict.fromkeys(end for end in ends if end is not None)
    if not found:
        raise BackendError(
            f"the model '{model}' has no end token, so no reply can end: its chat template writes "
            "none, and neither its tokenizer nor its configuration names one (eos_token_id)"
        )
    return tuple(found)


def _configured_ends(model: ModelRef) -> list[int]:
    """Return the end tokens of a model's configuration."""
    generation = load_generation_config(model)
    found = generation.eos_token_id if generation else None
    if found is None:
        found = load_config(model).get_text_config().eos_token_id
    return [found] if isinstance(found, int) else list(found or [])
