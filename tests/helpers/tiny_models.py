"""Random models of real architectures, each with a tokenizer and a chat template of its family.

They know nothing, but all that could go wrong between a request and its answer is there: grouped
attention, windows, soft caps, tied heads, digits split or whole, templates without a system role,
thoughts. A head can be told to favour some tokens, so that the rare case is a common one.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaTokenizer,
    GenerationConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Tokenizer,
    Qwen3Config,
)

TEXTS = Path(__file__).parents[2] / "scenarios" / "situations" / "therapy"
TEMPLATES = Path(__file__).parents[1] / "templates"
VOCABULARY = 900  # tokens, the special ones not counted
CONTEXT = 512
SHAPE = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,
}  # fmt: skip
CALM = {**SHAPE, "initializer_range": 0.1, "max_position_embeddings": 8192}
DIGITS = tuple("0123456789")
QWEN_END = "<|im_end|>"
WINDOW = {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Family(NamedTuple):
    """What tells one kind of model from the others."""

    config: Callable[..., PretrainedConfig]
    settings: dict[str, Any]
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    template: str
    ends: tuple[str, ...]


def build(
    family: str,
    folder: Path,
    favour: Mapping[str, float] | None = None,
    shape: Mapping[str, Any] = SHAPE,
    device: str = "cpu",
    seed: int = 1,
) -> str:
    """Writes a random model in the Hugging Face format, and returns its path.

    Args:
        family: a key of `FAMILIES`.
        folder: where to.
        favour: tokens that the head prefers, wherever it stands, and by about how many nats.
        shape: settings of the configuration; a vocabulary larger than the tokenizer's is possible.
        device: where the weights are drawn.
        seed: of the weights.
    """
    kind = FAMILIES[family]
    tokenizer = kind.tokenizer()
    tokenizer.chat_template = (TEMPLATES / f"{kind.template}.jinja").read_text()
    ends = tokenizer.convert_tokens_to_ids(list(kind.ends))
    special = {"eos_token_id": ends, "pad_token_id": tokenizer.pad_token_id,
               "bos_token_id": tokenizer.bos_token_id}  # fmt: skip
    settings = {"vocab_size": len(tokenizer), "dtype": torch.float32, **kind.settings, **shape}
    config = kind.config(**special, **settings)
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=settings["dtype"])
    _enliven(model)
    if favour:
        tokens = tokenizer.convert_tokens_to_ids(list(favour))
        _favour(model, dict(zip(tokens, favour.values(), strict=True)))
    model.generation_config = GenerationConfig(eos_token_id=ends)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def build_rambler(
    folder: Path, *, numbers: float, seed: int = 1, shape: Mapping[str, Any] = CALM
) -> str:
    """Writes a Qwen2 that speaks nonsense, of which as much is numbers as is wanted.

    Its layers say little, so every next token is drawn from nearly the same distribution, give or
    take what the context adds: a rater of this kind rates near the middle, and replies end soon.

    Args:
        folder: where to.
        numbers: about which share of the next token's probability is a digit.
        seed: of the weights.
        shape: see `build`.
    """
    shares = {**dict.fromkeys(DIGITS, max(numbers, 1e-4) / len(DIGITS)), QWEN_END: 0.05}
    others = (1 - numbers - 0.05) / VOCABULARY
    favour = {token: math.log(share / others) for token, share in shares.items()}
    return build("qwen2", folder, favour, shape, seed=seed)


@torch.no_grad()
def _enliven(model: PreTrainedModel) -> None:
    """Lets Gemma's layers say more than its large embedding, or a random one repeats itself."""
    if model.config.model_type.startswith("gemma"):
        for name, parameter in model.named_parameters():
            if "post_" in name:
                parameter.fill_(4.0)


@torch.no_grad()
def _favour(model: PreTrainedModel, nats: Mapping[int, float]) -> None:
    """Makes the first hidden feature a constant, and lets the head of these tokens read it."""
    embedding = model.get_input_embeddings().weight
    head = model.get_output_embeddings().weight
    for parameter in model.parameters():
        if parameter.ndim == 2 and len(parameter) == model.config.hidden_size:
            parameter[0] = 0.0  # no layer writes to it
    gemma = model.config.model_type.startswith("gemma")
    embedding[:, 0] = 2.0 if gemma else 16.0  # Gemma multiplies by the root of the size
    if head is not embedding:
        head[:, 0] = 0.0
    some = torch.arange(64, 128, device=head.device)[None]
    constant = model.base_model(some).last_hidden_state[..., 0].mean()  # as the head reads it
    head[list(nats), 0] += torch.tensor(list(nats.values()), device=head.device) / constant


def _llama3() -> PreTrainedTokenizerFast:
    """Numbers of up to three digits are words of their own, and those to 100 are tokens."""
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
               "<|eot_id|>", "<|finetune_right_pad_id|>"]  # fmt: skip
    split = pre_tokenizers.Split(Regex(LLAMA_WORDS), "isolated")
    before = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    numbers = [str(n) for n in range(101)] * 1000
    whole = _trained(before, pre_tokenizers.ByteLevel.alphabet(), [*_corpus(), *numbers])
    whole.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=whole, bos_token=special[0], eos_token=special[4], pad_token=special[5],
        additional_special_tokens=special,
    )  # fmt: skip


def _qwen() -> PreTrainedTokenizerFast:
    """Qwen's own: digits stand alone; thoughts stand between tokens that are no special ones."""
    before = Qwen2Tokenizer()._tokenizer.pre_tokenizer
    vocabulary, merges = _parts(_trained(before, pre_tokenizers.ByteLevel.alphabet(), _corpus()))
    tokenizer = Qwen2Tokenizer(vocabulary, merges, eos_token="<|im_end|>")
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.add_tokens(["<think>", "</think>"])
    return tokenizer


def _gemma() -> PreTrainedTokenizerFast:
    """Gemma's own: blanks are letters, unknown letters are bytes, digits stand alone."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    texts = ["".join("▁" if c == " " else c for c in text if not c.isdigit()) for text in _corpus()]
    split = pre_tokenizers.Split("▁", "merged_with_previous")
    trained, merges = _parts(_trained(split, list("0123456789\n▁"), texts))
    vocabulary = {word: n for n, word in enumerate(dict.fromkeys([*special, *fallback, *trained]))}
    tokenizer = GemmaTokenizer(vocabulary, merges, add_bos_token=True)
    tokenizer.add_tokens(["<start_of_turn>", "<end_of_turn>"], special_tokens=True)
    return tokenizer


def _mistral() -> PreTrainedTokenizerFast:
    """Mistral's own: the blank before a text's first word is a letter, too; turns are marked."""
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    metaspace = pre_tokenizers.Metaspace("▁", "first", split=False)
    words = pre_tokenizers.Sequence([metaspace, pre_tokenizers.Split("▁", "merged_with_next")])
    texts = ["".join(c for c in text if not c.isdigit()) for text in _corpus()]
    trained, merges = _parts(_trained(words, list("0123456789\n▁"), texts))
    vocabulary = {word: n for n, word in enumerate(dict.fromkeys([*special, *fallback, *trained]))}
    whole = Tokenizer(BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    whole.pre_tokenizer = metaspace
    whole.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
         decoders.Strip(" ", 1, 0)]
    )  # fmt: skip
    return PreTrainedTokenizerFast(
        tokenizer_object=whole, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        pad_token="</s>", additional_special_tokens=special[3:],
    )  # fmt: skip


def _trained(before: Any, alphabet: list[str], texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = before
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _parts(tokenizer: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Returns the vocabulary in order, and the merges."""
    found = json.loads(tokenizer.to_str())["model"]
    words = dict(sorted(found["vocab"].items(), key=lambda pair: pair[1]))
    return words, [(left, right) for left, right in found["merges"]]


@cache
def _corpus() -> list[str]:
    return [text for path in sorted(TEXTS.glob("*.yaml"))
            for text in _strings(yaml.safe_load(path.read_text()))]  # fmt: skip


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


FAMILIES = {
    "llama": Family(
        LlamaConfig, {}, _llama3, "llama", ("<|end_of_text|>", "<|eot_id|>")
    ),  # an untied head
    "qwen2": Family(Qwen2Config, {"tie_word_embeddings": True}, _qwen, "qwen2",
                    (QWEN_END, "<|endoftext|>")),  # biases
    "qwen3": Family(Qwen3Config, {}, _qwen, "qwen3", (QWEN_END, "<|endoftext|>")),
    "gemma2": Family(Gemma2Config, WINDOW, _gemma, "gemma2", ("<eos>", "<end_of_turn>")),
    "mistral": Family(MistralConfig, {}, _mistral, "mistral", ("</s>",)),
    "gemma3": Family(Gemma3TextConfig, WINDOW, _gemma, "gemma3", ("<eos>", "<end_of_turn>")),
}  # fmt: skip
