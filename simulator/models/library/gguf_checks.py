"""Refusing GGUF files that can't be converted, before any work."""

from collections.abc import Iterator
from pathlib import Path

from simulator.core.errors import BackendError
from simulator.models.library.gguf_header import STORAGES, GGUFHeader, read_header

# Causal language models among those that transformers reads.
ARCHITECTURES = (
    "bloom", "deci", "falcon", "gemma2", "gemma3", "gemma4", "gpt-oss", "gpt2", "lfm2", "llama",
    "mamba", "minimax-m2", "nemotron", "phi3", "qwen2", "qwen2moe", "qwen3", "qwen35", "qwen35moe",
    "qwen3moe", "stablelm", "starcoder2",
)  # fmt: skip
# Ways of storing that `gguf` reads, but not under these architectures.
OTHER_READER = ("qwen35", "qwen35moe")
UNREAD_THERE = ("Q5_0", "Q5_1", "TQ1_0", "TQ2_0", "MXFP4")
TOKENIZERS = ("gemma4", "gpt2", "llama")
# Words are cut by GPT-2's pattern; where digits stand alone, they are cut apart before.
LIKE_GPT2 = ("", "default", "gpt-2", "phi-2", "jina-es", "jina-de", "mpt", "olmo", "jais",
             "trillion", "granite-docling")  # fmt: skip
DIGITS_ALONE = ("starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b")
# Words are cut by a pattern that transformers knows.
OWN_PATTERN = (
    "dbrx", "deepseek-r1-qwen", "f2llmv2", "falcon-h1", "falcon3", "gpt-4o", "jina-v5-nano",
    "kanana2", "kormo", "lfm2", "llama-bpe", "llama-v3", "llama3", "llama4", "megrez", "midm-2.0",
    "minimax-m2", "pixtral", "qwen2", "qwen35", "smaug-bpe", "talkie", "tekken",
)  # fmt: skip


def checked_header(file: Path) -> GGUFHeader:
    """Return the header of a file that can be converted.

    Raises:
        BackendError: it can't; says what is wrong.
    """
    try:
        header = read_header(file)
        if mistake := next(_mistakes(header), ""):
            raise BackendError(mistake)
    except BackendError as error:
        raise BackendError(f"the model '{file}' can't be converted: {error}") from None
    return header


def _mistakes(header: GGUFHeader) -> Iterator[str]:
    yield from _wrong_contents(header)
    yield from _wrong_storage(header)
    yield from _wrong_tokenizer(header)
    yield from _wrong_positions(header)


def _wrong_contents(header: GGUFHeader) -> Iterator[str]:
    """Yield what keeps a file from being a whole causal language model."""
    kind = header.values.get("general.type", "model")
    if kind != "model":
        yield f"it holds a part of another kind ('{kind}'), not a model; name the model's own file"
    parts = header.values.get("split.count", 1)
    if isinstance(parts, int) and parts > 1:
        yield (
            f"it is one of {parts} parts; join them by llama.cpp's 'llama-gguf-split --merge "
            "FIRST_PART OUT.gguf', and name the result"
        )
    if header.architecture not in ARCHITECTURES:
        yield (
            f"its architecture '{header.architecture}' isn't supported; supported are "
            f"{', '.join(ARCHITECTURES)}; or name the unquantised model's folder"
        )
    if not header.tensors:
        yield "there are no tensors in it"


def _wrong_storage(header: GGUFHeader) -> Iterator[str]:
    """Yield the quantisations that can't be turned into numbers again."""
    names = [s.name for s in STORAGES.values()]
    if header.architecture in OTHER_READER:
        names = [name for name in names if name not in UNREAD_THERE]
    used = {t.storage: t.name for t in header.tensors}
    for storage, tensor in sorted(used.items()):
        known = STORAGES.get(storage)
        if known is None or known.name not in names:
            name = known.name if known else f"number {storage}"
            yield (
                f"its quantisation {name} (of {tensor}) can't be read; quantise the model "
                f"otherwise, as one of {', '.join(names)}"
            )


def _wrong_tokenizer(header: GGUFHeader) -> Iterator[str]:
    """Yield what keeps the tokenizer from cutting texts as llama.cpp does."""
    model = header.values.get("tokenizer.ggml.model")
    if model is None or not header.lengths.get("tokenizer.ggml.tokens"):
        yield "there is no tokenizer in it"
    elif model not in TOKENIZERS:
        yield f"its tokenizer '{model}' isn't supported; supported are {', '.join(TOKENIZERS)}"
    known = (*LIKE_GPT2, *DIGITS_ALONE, *OWN_PATTERN)
    if model == "gpt2" and (pre := pre_tokenizer(header)) not in known:
        yield (
            f"its way of cutting words (tokenizer.ggml.pre) '{pre}' isn't supported; supported are "
            f"{', '.join(sorted(filter(None, known)))}"
        )


def _wrong_positions(header: GGUFHeader) -> Iterator[str]:
    """Yield scalings of positions that would be lost, as transformers doesn't read them."""
    scaling = header.of_architecture("rope.scaling.type")
    if scaling not in (None, "none") and header.architecture != "gpt-oss":
        yield f"its scaling of positions (rope.scaling.type) '{scaling}' isn't supported"
    if any(t.name.startswith("rope_factors_") for t in header.tensors):
        yield "its scaling of positions (LongRoPE) isn't supported"


def pre_tokenizer(header: GGUFHeader) -> str:
    """Return the name of the way in which words are cut; empty if the file doesn't say."""
    return str(header.values.get("tokenizer.ggml.pre", ""))
