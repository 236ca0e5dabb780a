"""Checking a tokenizer's files against the model's embedding."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from simulator.core.errors import BackendError
from simulator.models.reference import ModelRef
from simulator.models.weights_files import Shapes, read_object

VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json",
                "spiece.model", "sentencepiece.bpe.model", "*.tiktoken")  # fmt: skip
EMBEDDING = re.compile(
    r"(^|\.)(embed_tokens|wte|word_embeddings|embed_in|embeddings|tok_embeddings)\.weight$"
)
ENDS = ("bos_token", "eos_token")


class Token(NamedTuple):
    """A token of a vocabulary."""

    id: int
    text: str
    special: bool  # texts of people never hold it


def check_tokenizer(
    model: ModelRef, folder: Path, config: Mapping[str, Any], shapes: Shapes
) -> None:
    """Refuse a folder without a tokenizer, or whose tokenizer has tokens that the model lacks.

    Args:
        model: the model.
        folder: its folder.
        config: the model's configuration.
        shapes: of the model's tensors; empty if they aren't needed.

    Raises:
        BackendError: says what is wrong.
    """
    settings = _read(folder, "tokenizer_config.json")
    if not any(any(folder.glob(name)) for name in VOCABULARIES):
        if model.trust_remote_code and "auto_map" in settings:
            return
        raise BackendError(
            "there is no tokenizer in it (tokenizer.json or the like); copy the files "
            "of its base's tokenizer"
        )
    rows = _rows(config, shapes)
    if rows is None:
        return
    _check_ids(folder, config, rows)
    written = "\n".join([*_templates(folder, settings), *map(_text, map(settings.get, ENDS))])
    refuse_beyond(rows, _tokens(folder, settings), written)


def refuse_beyond(rows: int, tokens: Iterable[Token], written: str) -> None:
    """Refuse a tokenizer with tokens beyond the model's embedding, if they can be written.

    Some models come with tokens for images that they lack. Special tokens which the chat template
    doesn't write do no harm.

    Args:
        rows: of the embedding.
        tokens: of the tokenizer.
        written: the chat template, and tokens that are written besides.

    Raises:
        BackendError: names the first such token.
    """
    beyond = sorted(token for token in tokens if token.id >= rows)
    harmful = [token for token in beyond if not token.special or token.text in written]
    if harmful:
        raise BackendError(
            f"its tokenizer writes {harmful[0].text!r} as token {harmful[0].id}, but its "
            f"embedding has room for {rows:,} tokens; load the model, call resize_token_embeddings"
            "(len(tokenizer)), train the new rows, and save it again"
        )


def _rows(config: Mapping[str, Any], shapes: Shapes) -> int | None:
    """Return the number of tokens that the model can read."""
    found = [shape[0] for name, shape in shapes.items() if EMBEDDING.search(name)]
    size = config.get("vocab_size") or _within(config).get("vocab_size")
    return max(found) if found else size if isinstance(size, int) else None


def _check_ids(folder: Path, config: Mapping[str, Any], rows: int) -> None:
    """Refuse a padding token that the embedding lacks: torch can't build such an embedding."""
    for part in (config, _within(config)):
        pad = part.get("pad_token_id")
        if isinstance(pad, int) and pad >= rows:
            raise BackendError(
                f"{folder / 'config.json'}: pad_token_id is {pad}, but the embedding has room for "
                f"{rows:,} tokens; call resize_token_embeddings(len(tokenizer)) and save the model "
                "again, or correct it"
            )


def _within(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a configuration that is about text."""
    part = config.get("text_config")
    return part if isinstance(part, Mapping) else {}


def _tokens(folder: Path, settings: Mapping[str, Any]) -> Iterator[Token]:
    """Yield the tokens of a tokenizer, as far as JSON files list them."""
    whole = _read(folder, "tokenizer.json")
    try:
        listed = {int(n): e for n, e in (settings.get("added_tokens_decoder") or {}).items()}
        added = {entry["id"]: entry for entry in whole.get("added_tokens") or ()} | listed
        for number, entry in added.items():
            yield Token(number, entry["content"], bool(entry.get("special")))
        words = (whole.get("model") or {}).get("vocab") or _read(folder, "vocab.json")
        if isinstance(words, list):  # of pairs, the text first
            words = {text: number for number, (text, *_) in enumerate(words)}
        for text, number in {**words, **_read(folder, "added_tokens.json")}.items():
            if number not in added:
                yield Token(number, text, special=False)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BackendError("its tokenizer's files are damaged; copy them again") from None


def _templates(folder: Path, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield a folder's chat templates."""
    if (folder / "chat_template.jinja").is_file():
        yield (folder / "chat_template.jinja").read_text(encoding="utf-8", errors="replace")
    for found in (settings.get("chat_template"), _read(folder, "chat_template.json")):
        yield from _strings(found)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | Mapping):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(part)


def _text(token: object) -> str:
    """Return the text of a token, which may stand with its settings."""
    found = token.get("content") if isinstance(token, Mapping) else token
    return found if isinstance(found, str) else ""


def _read(folder: Path, name: str) -> dict[str, Any]:
    return read_object(folder / name) if (folder / name).is_file() else {}
