"""Loading the parts of a pretrained model: its configuration, tokenizer and weights.

A folder's own Python runs only where the reference says so. Left open, transformers would ask on
the terminal. Weights are safetensors: other formats are pickles, which can run code, too.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from simulator.core.errors import BackendError
from simulator.models.folder import check_library, local_folder
from simulator.models.reference import ModelRef
from simulator.models.tensors import check_tensors
from simulator.models.tokenizer_files import Token, refuse_beyond

transformers.utils.logging.disable_progress_bar()


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
        BackendError: it is missing, or can't be read.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            model.path, trust_remote_code=model.trust_remote_code
        )
    except Exception as error:  # whatever its files make transformers raise
        raise BackendError(f"its tokenizer can't be loaded: {_reason(error)}") from error
    return tokenizer


def load_causal_lm(model: ModelRef, **options: Any) -> PreTrainedModel:
    """Return a model with its weights.

    Args:
        model: the model.
        options: for transformers, as `dtype`.

    Raises:
        BackendError: it can't be loaded, isn't a causal language model, or has other tensors than
            its files.
    """
    config = checked_config(model)
    options["attn_implementation"] = _attention(config, options.get("attn_implementation"))
    if folder := local_folder(model):
        check_library(folder)
    try:
        with _quiet():
            loaded, info = AutoModelForCausalLM.from_pretrained(
                model.path,
                trust_remote_code=model.trust_remote_code,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused by name
                **options,
            )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever its files make transformers raise
        raise BackendError(f"the model '{model}' can't be loaded: {first_line(error)}") from error
    check_tensors(model, loaded, info)
    return loaded


def _attention(config: PretrainedConfig, chosen: str | None) -> str | None:
    """Return the attention to load a model with; None: transformers chooses.

    Gemma 2 caps what its heads attend to, and `sdpa`, which transformers would choose, leaves the
    cap out without a word.

    Raises:
        BackendError: the chosen one would do so.
    """
    if getattr(config.get_text_config(), "attn_logit_softcapping", None) is None:
        return chosen
    if chosen == "sdpa":
        raise BackendError(
            "attention: 'sdpa' leaves out the cap of this model's attention; use auto or eager"
        )
    return chosen or "eager"


def checked_config(model: ModelRef) -> PretrainedConfig:
    """Return a model's configuration, if it is of a causal language model.

    Raises:
        BackendError: it is missing, or the architecture isn't known or of another kind.
    """
    try:
        config = load_config(model)
    except Exception as error:  # whatever its files make transformers raise
        raise BackendError(f"the model '{model}' can't be loaded: {_reason(error)}") from error
    kind = config.model_type
    masked = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
    own = model.trust_remote_code and "AutoModelForCausalLM" in getattr(config, "auto_map", ())
    known = own or kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if masked or config.is_encoder_decoder or not known:
        name = next(iter(config.architectures or ()), kind)
        raise BackendError(
            f"the model '{model}' can't be used: a {name} isn't a causal language model; name a "
            "model that writes text by itself"
        )
    return config


def check_vocabulary(model: ModelRef, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    """Refuse a tokenizer that writes tokens which the model can't read.

    Args:
        model: names it.
        tokenizer: the model's.
        rows: of the model's embedding.

    Raises:
        BackendError: names such a token.
    """
    added = tokenizer.added_tokens_decoder
    if max([tokenizer.vocab_size - 1, *added]) < rows:
        return
    words = {**tokenizer.get_vocab(), **{str(token): n for n, token in added.items()}}
    tokens = (Token(n, text, n in added and added[n].special) for text, n in words.items())
    written = f"{tokenizer.chat_template}{tokenizer.bos_token}{tokenizer.eos_token}"
    try:
        refuse_beyond(rows, tokens, written)
    except BackendError as error:
        raise BackendError(f"the model '{model}' can't be loaded: {error}") from None


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, with its type if that is one word or none."""
    line = next(iter(str(error).strip().splitlines()), "")
    return line if " " in line else f"{type(error).__name__} {line}".strip()


def _reason(error: Exception) -> str:
    """Return why a configuration or a tokenizer can't be loaded."""
    if "trust_remote_code" in str(error):
        return (
            "it is Python in the model's own folder, which isn't run; if you trust its author, set "
            "trust_remote_code: true in the model's backend"
        )
    if "does not recognize this architecture" in str(error):
        return (
            f"transformers {transformers.__version__} doesn't know its architecture "
            "(model_type in config.json)"
        )
    return first_line(error)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting what we check ourselves."""
    before = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers.utils.logging.set_verbosity(before)
