"""Loading the parts of a pretrained model: its configuration, tokenizer and weights.

A folder's own Python runs only where the reference says so. Left open, transformers would ask on
the terminal. Weights are safetensors: other formats are pickles, which can run code, too.
"""

from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from simulator.models.reference import ModelRef


def load_config(model: ModelRef) -> PretrainedConfig:
    """Return a model's configuration.

    Raises:
        OSError: it is missing.
        ValueError: its architecture is unknown.
    """
    config: PretrainedConfig = AutoConfig.from_pretrained(
        model.path, trust_remote_code=model.trust_remote_code
    )
    return config


def load_generation_config(model: ModelRef) -> GenerationConfig | None:
    """Return a model's settings of generation; not every model comes with them."""
    try:
        return GenerationConfig.from_pretrained(model.path)
    except OSError:
        return None


def load_tokenizer(model: ModelRef) -> PreTrainedTokenizerBase:
    """Return a model's tokenizer.

    Raises:
        OSError: it is missing.
        ValueError: it can't be read.
    """
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        model.path, trust_remote_code=model.trust_remote_code
    )
    return tokenizer


def load_causal_lm(model: ModelRef, **options: Any) -> PreTrainedModel:
    """Return a model with its weights.

    Args:
        model: the model.
        options: for transformers, as `dtype`.

    Raises:
        OSError: its weights are missing, or aren't safetensors.
        ValueError: its architecture isn't a causal language model.
    """
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        model.path, trust_remote_code=model.trust_remote_code, use_safetensors=True, **options
    )
    return loaded
