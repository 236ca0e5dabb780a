"""Tokens that a tokenizer writes and a model lacks are found in the files."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from simulator.core.errors import BackendError
from simulator.models.folder import check_folder
from simulator.models.pretrained import check_vocabulary, load_tokenizer
from simulator.models.reference import ModelRef
from tests.helpers import tiny_models
from tests.helpers.broken_folders import added, edit, weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(tiny_models.build("llama", tmp_path / "model"))


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("written", [False, True])
def test_tokens_beyond_the_embedding(folder: Path, special: bool, written: bool) -> None:
    """Only a special token that is never written does no harm, as Gemma 3's one for images."""
    added(folder, 5000, "<|picture|>", special=special)
    template = folder / "chat_template.jinja"
    if written:
        template.write_text(f"{template.read_text()}{{{{ '<|picture|>' }}}}")
    model = ModelRef(str(folder))
    for stored in (True, False):
        harmless = special and not written
        sentence = r"'<\|picture\|>' as token \d+, but its embedding"
        with nullcontext() if harmless else pytest.raises(BackendError, match=sentence):
            if stored:
                check_folder(model)
            else:  # as for a hub id
                check_vocabulary(model, load_tokenizer(model), 906)


def test_an_embedding_that_was_not_resized(folder: Path) -> None:
    def shorten(tensors: dict[str, torch.Tensor]) -> None:
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            tensors[name] = tensors[name][:800].contiguous()

    weights(shorten)(folder)
    edit(folder / "config.json", vocab_size=800, pad_token_id=None, bos_token_id=None)
    with pytest.raises(BackendError, match=r"its embedding has room for 800 tokens; load"):
        check_folder(ModelRef(str(folder)))
