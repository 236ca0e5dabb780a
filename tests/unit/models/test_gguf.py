"""GGUF files: what is refused by their header, and what a conversion keeps."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from transformers import AutoModelForCausalLM, AutoTokenizer

from simulator.core.errors import BackendError
from simulator.core.requests import Message, Prompt
from simulator.models.chat_template import PromptEncoder
from simulator.models.library.conversion import convert
from simulator.models.library.fluency import FLOOR, check_fluency
from simulator.models.library.gguf_checks import ARCHITECTURES, OWN_PATTERN, checked_header
from simulator.models.library.gguf_header import STORAGES
from simulator.models.limits import end_tokens
from simulator.models.pretrained import load_tokenizer
from simulator.models.reference import ModelRef
from tests.helpers.gguf_files import write_llama

Tiny = Callable[..., str]
TEXT = "The doctor said 2026 things. It's <|eot_id|> fine"


@pytest.fixture(scope="module")
def llama(tiny: Tiny) -> str:
    return tiny("llama")


def converted(file: Path, tmp_path: Path) -> ModelRef:
    convert(file, tmp_path / "converted")
    return ModelRef(str(tmp_path / "converted"))


def logits(folder: str, ids: list[int]) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        found: torch.Tensor = model(torch.tensor([ids])).logits
    return found


def test_a_conversion_keeps_weights_tokens_and_template(llama: str, tmp_path: Path) -> None:
    model = converted(write_llama(llama, tmp_path / "a.gguf"), tmp_path)
    before, after = AutoTokenizer.from_pretrained(llama), load_tokenizer(model)
    ids = before(TEXT, add_special_tokens=False)["input_ids"]
    assert len(after) == len(before)  # transformers adds an <|endoftext|> of GPT-2's
    assert after(TEXT, add_special_tokens=False)["input_ids"] == ids
    assert torch.equal(logits(llama, ids), logits(model.path, ids))
    chat = (Message("user", "Hello there"), Message("assistant", "Hi"), Message("user", "Why?"))
    then, now = (PromptEncoder(t).encode([Prompt(chat)])[0] for t in (before, after))
    assert now.ids == then.ids
    assert set(end_tokens(model)) == set(end_tokens(ModelRef(llama))) - {
        before.convert_tokens_to_ids("<|end_of_text|>")  # GGUF has one end token
    }


@pytest.mark.parametrize(
    ("storage", "dtype", "error"),
    [
        (Type.F16, torch.float16, 0.01),
        (Type.BF16, torch.bfloat16, 0.1),
        (Type.Q8_0, torch.bfloat16, 0.1),
        (Type.Q4_1, torch.bfloat16, 0.8),
    ],
)
def test_quantised_weights_become_numbers(
    llama: str, tmp_path: Path, storage: Type, dtype: torch.dtype, error: float
) -> None:
    model = converted(write_llama(llama, tmp_path / "a.gguf", storage=storage), tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(model.path)
    assert loaded.dtype == dtype
    assert not hasattr(loaded.config, "quantization_config")
    loaded.half().save_pretrained(tmp_path / "again")  # a quantised model refuses both
    true = AutoModelForCausalLM.from_pretrained(llama).model.layers[1].self_attn.q_proj.weight
    found = loaded.model.layers[1].self_attn.q_proj.weight.float()
    assert (true - found).abs().max() / true.abs().max() < error / 4


@pytest.mark.parametrize(
    ("values", "begins"),
    [
        ({"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.pre": "gpt-2"}, True),
        ({"tokenizer.ggml.add_bos_token": False}, False),
        ({}, True),  # as llama.cpp has it for Llama 3
        ({"tokenizer.ggml.pre": "gpt-2"}, False),
    ],
)
@pytest.mark.parametrize("template", ["own", "own without bos", "none"])
def test_what_the_file_asks_for_holds_for_texts_chats_and_training(
    llama: str, tmp_path: Path, values: dict[str, str | bool], begins: bool, template: str
) -> None:
    folder = tmp_path / "source"
    shutil.copytree(llama, folder)
    written = folder / "chat_template.jinja"
    own = written.read_text()
    assert own.count("bos_token") == 1
    if template == "none":
        written.unlink()
    elif template == "own without bos":
        written.write_text(own.replace("bos_token", "''"))
    model = converted(write_llama(folder, tmp_path / "a.gguf", values=values), tmp_path)
    encoder = PromptEncoder(load_tokenizer(model))
    bos = encoder.tokenizer.bos_token_id
    (stem,) = encoder.encode([Prompt((), text="The capital of")])
    (chat,) = encoder.encode([Prompt((Message("user", "Hello"),))])
    for ids, wanted in ((stem.ids, begins), (chat.ids, begins or template == "own")):
        assert ids.count(bos) == int(wanted)
        assert (ids[0] == bos) == wanted


def test_special_tokens_beyond_the_byte_alphabet_stay_whole(llama: str, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    shutil.copytree(llama, folder)
    tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
    settings = (folder / "tokenizer_config.json").read_text(encoding="utf-8")
    for file, text in (("tokenizer.json", tokenizer), ("tokenizer_config.json", settings)):
        new = text.replace("<|start_header_id|>", "<｜User｜>")
        (folder / file).write_text(new, encoding="utf-8")
    number = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("<｜User｜>")
    model = converted(write_llama(folder, tmp_path / "a.gguf"), tmp_path)
    tokenizer = load_tokenizer(model)
    assert tokenizer("<｜User｜>", add_special_tokens=False)["input_ids"] == [number]
    assert len(tokenizer) == len(AutoTokenizer.from_pretrained(llama))


def test_digits_stand_alone_where_the_file_says_so(llama: str, tmp_path: Path) -> None:
    values = {"tokenizer.ggml.pre": "smollm"}
    model = converted(write_llama(llama, tmp_path / "a.gguf", values=values), tmp_path)
    tokenizer = load_tokenizer(model)
    assert tokenizer.tokenize("in 42") == ["in", "Ġ", "4", "2"]


def test_llama_3_s_scaling_of_positions_is_kept(llama: str, tmp_path: Path) -> None:
    lengths = 2 * np.pi * 10000.0 ** (np.arange(16) / 16)
    smooth = ((8192 / lengths - 1) / 3).clip(0, 1)
    factors = (1 / ((1 - smooth) / 32 + smooth)).astype(np.float32)
    more = {"rope_freqs.weight": factors}
    model = converted(write_llama(llama, tmp_path / "a.gguf", more=more), tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(model.path)
    plain = AutoModelForCausalLM.from_pretrained(llama)
    ratio = plain.model.rotary_emb.inv_freq / loaded.model.rotary_emb.inv_freq
    assert ratio.numpy() == pytest.approx(factors, rel=1e-3)
    other = {"rope_freqs.weight": np.linspace(1, 3, 16, dtype=np.float32)}
    with pytest.raises(BackendError, match="rope_freqs"):
        convert(write_llama(llama, tmp_path / "b.gguf", more=other), tmp_path / "other")


def test_a_missing_tensor_is_refused(llama: str, tmp_path: Path) -> None:
    file = write_llama(llama, tmp_path / "a.gguf", without="blk.1.ffn_up.weight")
    with pytest.raises(BackendError, match=r"model.layers.1.mlp.up_proj.weight isn't in it"):
        convert(file, tmp_path / "converted")


def test_a_model_that_expects_no_english_is_refused(llama: str) -> None:
    with pytest.raises(BackendError, match=r"plain English -\d+\.\d\d nats a token"):
        check_fluency(Path(llama), FLOOR)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"values": {"general.type": "adapter"}}, r"a part of another kind \('adapter'\)"),
        ({"values": {"split.count": 3}}, "one of 3 parts; join them"),
        ({"architecture": "t5"}, "its architecture 't5' isn't supported; supported are bloom"),
        ({"values": {"tokenizer.ggml.model": "bert"}}, "its tokenizer 'bert' isn't supported"),
        ({"values": {"tokenizer.ggml.pre": "deepseek-llm"}}, "cutting words .* 'deepseek-llm'"),
        ({"values": {"llama.rope.scaling.type": "yarn"}}, "'yarn' isn't supported"),
        ({"more": {"rope_factors_long.weight": np.ones(16, np.float32)}}, "LongRoPE"),
        ({"more": {"odd": np.ones(32, np.int8)}}, "quantisation number 24 .of odd. can't be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_refused_by_name(
    llama: str, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    file = write_llama(llama, tmp_path / "a.gguf", **change)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match=sentence) as caught:
        checked_header(file)
    assert str(caught.value).startswith(f"the model '{file}' can't be converted: ")


def cut(content: bytes, share: float) -> bytes:
    return content[: int(len(content) * share)]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: cut(content, 0.9), "it is cut"),
        (lambda content: content[:100], "header is cut or damaged"),
        (lambda content: content[:6], "header is cut or damaged"),
        (lambda content: b"", "isn't a GGUF file"),
        (lambda content: b"<html>" + content, "isn't a GGUF file"),
        (lambda content: content[:4] + struct.pack("<I", 1) + content[8:], "version of GGUF is 1"),
        (lambda content: content[:8] + b"\xff" * 16 + content[24:], "header is cut or damaged"),
        (lambda content: content[:24] + b"\xff" * 8 + content[32:], "header is cut or damaged"),
    ],
)
def test_a_damaged_file_is_refused(
    llama: str, tmp_path: Path, change: Callable[[bytes], bytes], sentence: str
) -> None:
    file = write_llama(llama, tmp_path / "a.gguf")
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(BackendError, match=sentence):
        checked_header(file)


def test_the_lists_are_those_of_the_libraries() -> None:
    from transformers.integrations.gguf import gguf_tokenizer_mapping as theirs
    from transformers.integrations.gguf.gguf_conversion_mapping import GGUF_ARCHS
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    def readable(kind: Type) -> bool:
        try:
            gguf.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
        except NotImplementedError:
            return False
        return True

    sizes = gguf.GGML_QUANT_SIZES
    for number, storage in STORAGES.items():
        assert (storage.name, *sizes[Type(number)]) == (Type(number).name, *storage[1:])
        assert storage.name in ("F32", "F16") or readable(Type(number))
    known = {name.replace("-", "_").replace("moe", "_moe").replace("qwen35_", "qwen35")
             for name in ARCHITECTURES}  # fmt: skip
    assert known <= {*GGUF_SUPPORTED_ARCHITECTURES, *GGUF_ARCHS}
    assert set(OWN_PATTERN) == set(theirs.GGUF_PRE_TOKENIZER_SPLITS)
