"""Small GGUF files as llama.cpp writes them, from random models with known weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

NORMAL, CONTROL = 1, 3
LAYER = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip
TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
       "lm_head.weight": "output.weight"}  # fmt: skip


def write_llama(
    folder: str | Path,
    file: Path,
    *,
    storage: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    values: Mapping[str, str | int | float | bool] | None = None,
    architecture: str = "llama",
    without: str = "",
    more: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Writes a Llama in the Hugging Face format as a GGUF file.

    Args:
        folder: of the model, with a byte-level tokenizer.
        file: where to.
        storage: of the matrices.
        values: replace keys of the header, or are added to them.
        architecture: that the file states.
        without: a tensor that is left out.
        more: further tensors.
    """
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    writer = gguf.GGUFWriter(file, architecture)
    for key, value in {**_settings(model.config, architecture), **(values or {})}.items():
        _add(writer, key, value)
    _add_tokenizer(writer, folder, values or {})
    for name, weight in model.state_dict().items():
        if (named := _name(name)) != without:
            numbers = _llama_cpp_order(name, weight, model.config).numpy()
            if numbers.ndim > 1:
                writer.add_tensor(named, gguf.quantize(numbers, storage), raw_dtype=storage)
            else:
                writer.add_tensor(named, numbers)
    for named, numbers in (more or {}).items():
        writer.add_tensor(named, numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _settings(config: Any, architecture: str) -> dict[str, str | int | float | bool]:
    heads = config.num_attention_heads
    found = {
        "context_length": config.max_position_embeddings, "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size, "embedding_length": config.hidden_size,
        "rope.dimension_count": config.head_dim, "attention.head_count": heads,
        "attention.head_count_kv": config.num_key_value_heads, "vocab_size": config.vocab_size,
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
    }  # fmt: skip
    return {f"{architecture}.{key}": value for key, value in found.items()}


def _add(writer: gguf.GGUFWriter, key: str, value: str | int | float | bool) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_uint32(key, value)


def _add_tokenizer(
    writer: gguf.GGUFWriter, folder: str | Path, values: Mapping[str, str | int | float | bool]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    added = {entry["id"]: entry["special"] for entry in content["added_tokens"]}
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_types([CONTROL if added.get(n) else NORMAL for _, n in tokens])
    writer.add_token_merges([" ".join(pair) for pair in content["model"]["merges"]])
    named = {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.bos_token_id": tokenizer.bos_token_id,
        "tokenizer.ggml.eos_token_id": tokenizer.eos_token_id,
        "tokenizer.ggml.padding_token_id": tokenizer.pad_token_id,
        "tokenizer.chat_template": tokenizer.chat_template,
    }  # fmt: skip
    for key, value in named.items():
        if key not in values and value is not None:
            _add(writer, key, value)


def _name(name: str) -> str:
    if name in TOP:
        return TOP[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{LAYER[rest.removesuffix('.weight')]}.weight"


def _llama_cpp_order(name: str, weight: torch.Tensor, config: Any) -> torch.Tensor:
    """Returns queries and keys with the two halves of each head interleaved, as llama.cpp does."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    found = next((n for part, n in heads.items() if part in name), None)
    if found is None:
        return weight
    parts = weight.reshape(found, 2, len(weight) // found // 2, *weight.shape[1:])
    return parts.swapaxes(1, 2).reshape(weight.shape).contiguous()
