"""Limits from a model's folder that every engine needs: context and end tokens."""

from transformers import PretrainedConfig

from simulator.core.errors import BackendError
from simulator.models.chat_template import encoder_of
from simulator.models.pretrained import load_config, load_generation_config
from simulator.models.reference import ModelRef

# The names that architectures give to the length of their context.
LENGTHS = ("max_position_embeddings", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx")


def context_of(model: ModelRef, wanted: int | None) -> int:
    """Return the length of the context in tokens: the wanted one, or the model's largest.

    Raises:
        BackendError: the model's context is shorter than wanted, or not known.
    """
    longest = _longest(load_config(model).get_text_config())
    if longest is None and wanted is None:
        raise BackendError(
            f"the model '{model}' doesn't say how long its context is; set backend.context to a "
            "number of tokens that it was trained on"
        )
    if wanted is not None and longest is not None and wanted > longest:
        raise BackendError(
            f"backend.context: {wanted} is more than the {longest} tokens that the model '{model}' "
            "can take; lower it, or leave it empty"
        )
    return wanted or longest or 0


def _longest(config: PretrainedConfig) -> int | None:
    """Return the longest context that a configuration names; architectures without one exist."""
    found = (getattr(config, name, None) for name in LENGTHS)
    return next((n for n in found if isinstance(n, int) and n > 0), None)


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
