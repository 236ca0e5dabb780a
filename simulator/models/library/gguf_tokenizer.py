"""The tokenizer of a GGUF file, with all that llama.cpp does with it."""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from simulator.core.errors import BackendError
from simulator.models.library.gguf_checks import DIGITS_ALONE, pre_tokenizer
from simulator.models.library.gguf_header import GGUFHeader
from simulator.models.rendering import PLAIN_TEMPLATE

CONTROL = 3  # llama.cpp's number of the type of special tokens
BOS_FIRST = "{{ bos_token }}"
# Where a file doesn't say whether texts begin with <bos>, llama.cpp goes by these.
BEGUN_BY_BOS = ("falcon-h1", "falcon3", "lfm2", "llama-bpe", "llama-v3", "llama3", "midm-2.0",
                "pixtral", "tekken")  # fmt: skip
# They look whole words up before they merge.
WORDS_FIRST = BEGUN_BY_BOS
NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")
ASKED = [{"role": "user", "content": "asked"}]


def tokenizer_of(file: Path, header: GGUFHeader) -> PreTrainedTokenizerFast:
    """Return a file's tokenizer, which writes <bos> exactly where the file asks for it.

    Raises:
        BackendError: transformers can't build it.
    """
    try:
        read = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except Exception as error:  # whatever the file makes transformers raise
        raise BackendError(f"its tokenizer can't be read: {error}") from error
    backend = _as_llama_cpp(read, file, header)
    bos = read.bos_token if begins_with_bos(header) else None
    _set_bos(backend, bos)
    named = ((name, getattr(read, name)) for name in NAMES)
    names = {n: token for n, token in named if backend.token_to_id(token or "") is not None}
    whole = PreTrainedTokenizerFast(
        tokenizer_object=backend, clean_up_tokenization_spaces=False, **names
    )
    whole.chat_template = _template(whole, read.chat_template, bos)
    return whole


def begins_with_bos(header: GGUFHeader) -> bool:
    """Return whether every text begins with <bos>, as the file says or llama.cpp assumes."""
    if "tokenizer.ggml.bos_token_id" not in header.values:
        return False
    said = header.values.get("tokenizer.ggml.add_bos_token")
    if said is not None:
        return bool(said)
    pieces = header.values.get("tokenizer.ggml.model") != "gpt2"
    return pieces or pre_tokenizer(header) in BEGUN_BY_BOS


def _set_bos(backend: Tokenizer, bos: str | None) -> None:
    """Let texts, but not the texts within chats, begin with a token, or with none."""
    special = [(bos, backend.token_to_id(bos))] if bos else []
    begin = f"{bos} " if bos else ""
    backend.post_processor = processors.TemplateProcessing(
        single=f"{begin}$A", pair=f"{begin}$A $B:1", special_tokens=special
    )


def _template(
    tokenizer: PreTrainedTokenizerBase, template: str | None, bos: str | None
) -> str | None:
    """Return the chat template, which writes <bos> if texts begin with it.

    A base model without a template gets our plain one if it needs <bos>.
    """
    if bos is None:
        return template
    template = template or PLAIN_TEMPLATE
    shown = tokenizer.apply_chat_template(ASKED, chat_template=template, tokenize=False)
    return template if str(shown).startswith(bos) else BOS_FIRST + template


def _as_llama_cpp(read: PreTrainedTokenizerBase, file: Path, header: GGUFHeader) -> Tokenizer:
    """Return the parts that transformers built, with what it left out."""
    content: dict[str, Any] = json.loads(read.backend_tokenizer.to_str())
    special = [] if header.values.get("tokenizer.ggml.model") != "gpt2" else _unspelled(file)
    words = content["model"]["vocab"]
    count = header.lengths["tokenizer.ggml.tokens"]
    content["added_tokens"] = [entry for entry in content["added_tokens"] if entry["id"] < count]
    for token, spelled in special:
        if spelled in words:
            words[token] = words.pop(spelled)
    pre = pre_tokenizer(header)
    if pre in WORDS_FIRST:
        content["model"]["ignore_merges"] = True
    if header.values.get("tokenizer.ggml.add_space_prefix") is False:
        _without_first_blank(content)
    backend = Tokenizer.from_str(json.dumps(content))
    backend.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token, _ in special]
    )
    if pre in DIGITS_ALONE:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    return backend


def _without_first_blank(content: dict[str, Any]) -> None:
    """Keep a sentencepiece tokenizer from putting a blank before a text."""
    before = content.get("pre_tokenizer") or {}
    if before.get("type") == "Metaspace":
        before["prepend_scheme"] = "never"
        steps = (content.get("decoder") or {}).get("decoders", [])
        steps[:] = [step for step in steps if step.get("type") != "Strip"]


def _unspelled(file: Path) -> list[tuple[str, str]]:
    """Return special tokens with letters beyond the byte alphabet, and as transformers has them.

    It takes them for words (as DeepSeek's `<｜User｜>`), and would cut them.
    """
    from gguf import GGUFReader

    fields = GGUFReader(file).fields
    if "tokenizer.ggml.token_type" not in fields:
        return []
    kinds = fields["tokenizer.ggml.token_type"].contents()
    tokens = fields["tokenizer.ggml.tokens"].contents()
    spelling = bytes_to_unicode()
    alphabet = set(spelling.values())
    return [
        (token, "".join(spelling[byte] for byte in token.encode()))
        for token, kind in zip(tokens, kinds, strict=True)
        if kind == CONTROL and not set(token) <= alphabet
    ]
