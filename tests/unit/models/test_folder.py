"""A model's folder that can't be used is refused in a sentence before any weights are read."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from simulator.core.errors import BackendError
from simulator.models.folder import check_folder, check_library
from simulator.models.pretrained import load_causal_lm
from simulator.models.reference import ModelRef
from simulator.models.skeleton import skeleton_of
from tests.helpers import tiny_models
from tests.helpers.broken_folders import (
    BLOCKED,
    Change,
    both,
    configured,
    cut,
    edit,
    nested,
    overlapping,
    pickled,
    sharded,
    weights,
    without,
    write,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_models.build("llama", tmp_path_factory.mktemp("models") / "whole"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "model")


ADAPTER = '{"peft_type": "LORA", "base_model_name_or_path": "some/base"}'
BROKEN = {
    "no configuration": (without("config.json"), "there is no config.json in it"),
    "a folder of folders": (nested, "in .*checkpoint-500; name a folder within it"),
    "a run": (both(without("config.json"), write("manifest.json", "{}")), "a run's folder"),
    "configuration cut": (write("config.json", '{"model_type": "lla'), "isn't valid JSON"),
    "configuration a list": (write("config.json", "[]"), "isn't a JSON object"),
    "no architecture": (configured(model_type=None), "has no model_type"),
    "an adapter beside": (write("adapter_config.json", ADAPTER), "an adapter lies beside the"),
    "a vector beside": (write("steering.json", '{"layer": 0}'), "an adapter lies beside the"),
    "an adapter alone": (
        both(without("config.json", "model.safetensors"), write("adapter_config.json", ADAPTER)),
        "this is an adapter of 'some/base', not a model; name its base",
    ),
    "an adapter with its base's configuration": (
        both(without("model.safetensors"), write("adapter_config.json", ADAPTER)),
        "this is an adapter of 'some/base', not a model",
    ),
    "what a trainer leaves": (
        both(without("model.safetensors"), write("training_args.bin", "x"),
             write("optimizer.pt", "x"), write("rng_state_0.pth", "x")),
        "there are no weights in it",
    ),
    "no weights": (without("model.safetensors"), "there are no weights in it"),
    "pickled": (pickled, r"its weights are pickled \(pytorch_model.bin\)"),
    "GGUF": (both(without("model.safetensors"), write("m.gguf", "GGUF")), "its weights are GGUF"),
    "weights cut": (cut, r"model.safetensors: truncated or no safetensors file"),
    "weights empty": (write("model.safetensors", ""), "the file is empty"),
    "weights a pointer": (
        write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
        "git lfs pull",
    ),
    "weights text": (write("model.safetensors", "<html>not found</html>"), "no safetensors file"),
    "weights of other shapes": (overlapping, "truncated or no safetensors file"),
    "a shard missing": (
        sharded("model-00002-of-00002.safetensors"),
        "model-00002-of-00002.safetensors of the 2 files in .* are missing",
    ),
    "no index": (sharded("model.safetensors.index.json"), "neither model.safetensors nor"),
    "no tokenizer": (without("tokenizer.json"), "there is no tokenizer in it"),
    "a tokenizer cut": (write("tokenizer.json", '{"model":'), "isn't valid JSON"),
    "a tokenizer's pointer": (
        write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
        "tokenizer.json: only a pointer of Git LFS",
    ),
    "a damaged tokenizer": (write("tokenizer.json", '{"added_tokens": [3]}'), "are damaged"),
    "a classifier": (
        configured(architectures=["LlamaForSequenceClassification"]),
        "a LlamaForSequenceClassification isn't a causal language model",
    ),
    "seq2seq": (
        configured(
            model_type="t5",
            architectures=["T5ForConditionalGeneration"],
            is_encoder_decoder=True,
        ),
        "a T5ForConditionalGeneration isn't a causal language model",
    ),
    "padding beyond": (configured(pad_token_id=2000), "pad_token_id is 2000, but the embedding"),
}  # fmt: skip
MISFIT = {
    "an encoder": (
        configured(model_type="bert", architectures=["BertModel"]),
        "a BertModel isn't a causal language model",
    ),
    "vision alone": (
        configured(model_type="vit", architectures=["ViTModel"]),
        "a ViTModel isn't a causal language model",
    ),
    "unknown": (
        configured(model_type="sphinx"), "doesn't know its architecture"
    ),
    "its own Python": (
        both(
            configured(model_type="own", auto_map={"AutoConfig": "own.Own"}),
            write("own.py", "raise SystemExit('ran')"),
        ),
        "is Python in the model's own folder, which isn't run; .* set trust_remote_code: true",
    ),
    "no head": (
        weights(lambda tensors: tensors.pop("lm_head.weight")),
        "its files lack lm_head.weight, which would be random",
    ),
    "a layer's tensor missing": (
        weights(lambda tensors: tensors.pop(BLOCKED)),
        f"its files lack {BLOCKED}",
    ),
    "a larger vocabulary": (
        configured(vocab_size=5000), r"weight is .* in its files, but \(5000, 64\)"
    ),
    "another width": (configured(intermediate_size=128), "in its files, but"),
    "fewer layers": (
        configured(num_hidden_layers=1), r"its files have model\.layers\.1\..*has no place"
    ),
    "more layers": (configured(num_hidden_layers=3), r"its files lack model\.layers\.2\."),
    "biases": (
        weights(lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.zeros(64)})),
        "its files have model.layers.0.self_attn.q_proj.bias",
    ),
    "invalid numbers": (configured(num_attention_heads="two"), "can't be loaded"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_refused(folder: Path, name: str) -> None:
    change, sentence = BROKEN[name]
    change(folder)
    with pytest.raises(BackendError, match=sentence) as caught:
        check_folder(ModelRef(str(folder)))
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", MISFIT)
def test_a_model_that_is_not_what_its_files_say_is_refused(folder: Path, name: str) -> None:
    change, sentence = MISFIT[name]
    change(folder)
    with pytest.raises(BackendError, match=sentence) as caught:
        skeleton_of(ModelRef(str(folder)))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [lambda folder: None, sharded()], ids=["one file", "two files"])
def test_a_whole_folder_is_let_through(folder: Path, change: Change) -> None:
    change(folder)
    built = skeleton_of(ModelRef(str(folder)))
    assert built is not None
    assert {parameter.device.type for parameter in built.parameters()} == {"meta"}


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_every_family_is_let_through(tmp_path: Path, family: str) -> None:
    assert skeleton_of(ModelRef(tiny_models.build(family, tmp_path / family))) is not None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.safetensors", "this is one file of a model; name its folder"),
        ("a.txt", "this is a file; a model is a folder"),
    ],
)
def test_a_file_is_refused(folder: Path, tmp_path: Path, name: str, sentence: str) -> None:
    file = folder / name if name == "model.safetensors" else tmp_path / name
    file.touch()
    with pytest.raises(BackendError, match=sentence):
        check_folder(ModelRef(str(file)))


@pytest.mark.parametrize("path", ["/nowhere/model", "./model-of-mine", "~/model", "a/b/c"])
def test_a_path_to_nothing_is_refused(path: str) -> None:
    with pytest.raises(BackendError, match="there is no such folder"):
        check_folder(ModelRef(path))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"quant_method": "gptq", "bits": 4}, "by gptq, for which 'gptqmodel' isn't installed"),
        ({"load_in_4bit": True}, "by bitsandbytes, for which 'bitsandbytes' isn't installed"),
    ],
)
def test_quantised_weights_need_their_library(
    folder: Path, settings: dict[str, Any], sentence: str
) -> None:
    edit(folder / "config.json", quantization_config=settings)
    with pytest.raises(BackendError, match=sentence):
        check_library(folder)
    with pytest.raises(BackendError, match=sentence):
        load_causal_lm(ModelRef(str(folder)))


def test_a_hub_id_is_taken_as_it_is() -> None:
    assert check_folder(ModelRef("someone/some-model-7b")) is None
    assert check_folder(ModelRef("gpt2")) is None


def test_python_of_a_folder_runs_only_when_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    ran = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(
        "from pathlib import Path\n"
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        f"Path({str(ran)!r}).touch()\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
        "class Own(LlamaForCausalLM):\n    config_class = OwnConfig\n"
    )
    own = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.Own"}
    edit(folder / "config.json", model_type="own", architectures=["Own"], auto_map=own)
    with pytest.raises(BackendError, match="if you trust its author, set trust_remote_code"):
        load_causal_lm(ModelRef(str(folder)))
    assert not ran.exists()
    loaded = load_causal_lm(ModelRef(str(folder), trust_remote_code=True))
    assert type(loaded).__name__ == "Own" and ran.exists()


def test_python_beside_a_known_architecture_is_left_alone(folder: Path) -> None:
    (folder / "modeling_own.py").write_text("raise SystemExit('ran')")
    own = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.Own"}
    edit(folder / "config.json", auto_map=own)
    assert type(load_causal_lm(ModelRef(str(folder)))).__name__ == "LlamaForCausalLM"
