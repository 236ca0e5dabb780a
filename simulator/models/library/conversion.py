"""From a GGUF file to a folder that transformers, peft and vLLM load."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PretrainedConfig
from transformers.utils import logging

from simulator.core.errors import BackendError
from simulator.models.library.gguf_checks import checked_header
from simulator.models.library.gguf_header import STORAGES, GGUFHeader, GGUFTensor
from simulator.models.library.gguf_tokenizer import tokenizer_of
from simulator.models.pretrained import load_tokenizer
from simulator.models.reference import ModelRef

# The ids of tokens that end a reply, in the order in which they are taught.
ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")
SAMPLES = ("The capital of France is", "  In 2026, 3.5% (of 1,000)\n\tdon't agree!", "été, 東京")
# Llama 3's scaling of positions; files have only what it comes to.
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def convert(file: Path, folder: Path) -> None:
    """Write the model of a GGUF file as safetensors, with tokenizer and chat template.

    Args:
        file: the GGUF file.
        folder: a new or empty one.

    Raises:
        BackendError: the file can't be converted.
    """
    header = checked_header(file)
    tokenizer = tokenizer_of(file, header)
    _save_model(file, folder, header)
    tokenizer.save_pretrained(folder)
    again = load_tokenizer(ModelRef(str(folder)))
    for text in SAMPLES:
        if tokenizer(text)["input_ids"] != again(text)["input_ids"]:
            raise BackendError("its tokenizer changes when it is saved, so it can't be used")


def _save_model(file: Path, folder: Path, header: GGUFHeader) -> None:
    try:
        from transformers import GgufConfig
    except ImportError:
        raise BackendError("converting GGUF files needs transformers 5.19 or later") from None
    logging.disable_progress_bar()
    config = _config(file, header)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # its bar of progress
            model, info = AutoModelForCausalLM.from_pretrained(
                file.parent,
                gguf_file=file.name,
                config=config,
                dtype=_dtype(header),
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
            )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever the file makes transformers raise
        raise BackendError(f"transformers can't convert it: {error}") from error
    if absent := sorted(info["missing_keys"]):
        raise BackendError(f"the tensor {absent[0]} isn't in it; transformers can't convert it")
    _unmark(model)
    model.generation_config = _generation(header)
    model.save_pretrained(folder)


def _unmark(model: Any) -> None:
    """Take the marks of a quantised model off one whose weights are numbers again."""
    model.hf_quantizer = None
    model.is_quantized = False
    for name in ("quantization_config", "_pre_quantization_dtype"):
        if hasattr(model.config, name):
            delattr(model.config, name)


def _config(file: Path, header: GGUFHeader) -> PretrainedConfig:
    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name)
    config.name_or_path = ""
    factors = next((t for t in header.tensors if t.name == "rope_freqs.weight"), None)
    if factors is not None and header.architecture == "llama":
        scaling = _llama3_scaling(_numbers(file, header, factors), config)
        config.rope_parameters = {**config.rope_parameters, **scaling}
    return config


def _numbers(file: Path, header: GGUFHeader, tensor: GGUFTensor) -> np.ndarray:
    """Return the numbers of an unquantised tensor."""
    offset = header.start + tensor.offset
    return np.fromfile(file, np.float32, count=int(np.prod(tensor.shape)), offset=offset)


def _llama3_scaling(factors: np.ndarray, config: PretrainedConfig) -> dict[str, Any]:
    """Return the settings of Llama 3's scaling that come to the factors of a file.

    Raises:
        BackendError: none do.
    """
    largest = float(factors.max())
    theta = float(config.rope_parameters["rope_theta"])
    lengths = 2 * np.pi * theta ** (np.arange(len(factors)) / len(factors))
    low, high = LLAMA3["low_freq_factor"], LLAMA3["high_freq_factor"]
    share = (LLAMA3["original_max_position_embeddings"] / lengths - low) / (high - low)
    share = share.clip(0, 1)
    if not np.allclose(1 / ((1 - share) / largest + share), factors, rtol=1e-3):
        raise BackendError("its scaling of positions (rope_freqs) isn't Llama 3's")
    return {"rope_type": "llama3", "factor": largest, **LLAMA3}


def _dtype(header: GGUFHeader) -> torch.dtype:
    """Return the type that holds what the file holds: its matrices' own, or bfloat16."""
    matrices = {STORAGES[t.storage].name for t in header.tensors if len(t.shape) > 1}
    if matrices == {"F32"}:
        return torch.float32
    return torch.float16 if matrices <= {"F16", "F32"} else torch.bfloat16


def _generation(header: GGUFHeader) -> GenerationConfig:
    ends = [int(header.values[key]) for key in ENDS if key in header.values]
    return GenerationConfig(
        bos_token_id=header.values.get("tokenizer.ggml.bos_token_id"),
        eos_token_id=list(dict.fromkeys(ends)) or None,
        pad_token_id=header.values.get("tokenizer.ggml.padding_token_id"),
    )
