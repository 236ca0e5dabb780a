"""What a model's folder says that every engine needs to know."""

import contextlib

from transformers import AutoConfig, GenerationConfig


def longest_context(model: str) -> int:
    """Returns how many tokens the model can read and write."""
    found: int = AutoConfig.from_pretrained(model).get_text_config().max_position_embeddings
    return found


def end_tokens(model: str) -> list[int]:
    """Returns the tokens that end a reply; not every model comes with a generation config."""
    found = None
    with contextlib.suppress(OSError):
        found = GenerationConfig.from_pretrained(model).eos_token_id
    if found is None:
        found = AutoConfig.from_pretrained(model).get_text_config().eos_token_id
    return [found] if isinstance(found, int) else list(found or [])
