"""Adapters are taken by what is understood of their configuration, and all of their tensors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from simulator.core.errors import BackendError
from simulator.models.adapter_folder import Frame, check_fit
from simulator.models.lora import fitting_pairs, pairs_of

Tensors = dict[str, np.ndarray]
CONFIG = {
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "bias": "none", "peft_version": "9",
    "r": 2, "lora_alpha": 6, "target_modules": ["q_proj"], "lora_dropout": 0.05,
    "init_lora_weights": True, "fan_in_fan_out": False, "use_dora": False, "use_rslora": False,
    "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None,
    "megatron_core": "megatron.core", "qalora_group_size": 16, "base_model_name_or_path": "base",
    "runtime_config": {"ephemeral_gpu_offload": False}, "loftq_config": {},
}  # fmt: skip
Q = "model.layers.{}.self_attn.q_proj.weight"
WEIGHTS = {Q.format(0): (8, 4), Q.format(1): (8, 4), "lm_head.weight": (9, 4), "norm.weight": (4,)}


def tensors(*layers: int, rank: int = 2, out: int = 8) -> Tensors:
    found: Tensors = {}
    for layer in layers:
        module = f"base_model.model.{Q.format(layer).removesuffix('.weight')}"
        found[f"{module}.lora_A.weight"] = np.ones((rank, 4), np.float32)
        found[f"{module}.lora_B.weight"] = np.ones((out, rank), np.float32)
    return found


def saved(folder: Path, found: Tensors | None = None, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | changes))
    save_file(tensors(0, 1) if found is None else found, folder / "adapter_model.safetensors")
    return folder


def test_a_whole_adapter_fits(tmp_path: Path) -> None:
    pairs = fitting_pairs(saved(tmp_path / "a"), WEIGHTS)
    assert {name: (pair.scale, pair.rank) for name, pair in pairs.items()} == {
        Q.format(0): (3.0, 2), Q.format(1): (3.0, 2)
    }  # fmt: skip


@pytest.mark.parametrize("value", [None, False, "", [], {}, {"nested": None, "too": [[]][0]}])
def test_a_key_of_another_version_that_is_switched_off(tmp_path: Path, value: Any) -> None:
    assert len(pairs_of(saved(tmp_path / "a", use_novelty=value))) == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_novelty", True),
        ("novelty_config", {"strength": 0.5}),
        ("novelty_level", 0),  # a number may mean anything
        ("use_dora", True),
        ("lora_bias", True),
        ("fan_in_fan_out", True),
        ("modules_to_save", ["lm_head"]),
        ("layer_replication", [[0, 2]]),
        ("alora_invocation_tokens", [5]),
        ("trainable_token_indices", [5]),
        ("target_parameters", ["layers.0.mlp.experts"]),
        ("use_qalora", True),
        ("use_bdlora", {"nblocks": 2}),
        ("kasa_config", {"beta": 0.1}),
        ("velora_config", {"num_groups": 2}),
        ("monteclora_config", {"num_samples": 2}),
        ("arrow_config", {"top_k": 2}),
        ("ensure_weight_tying", True),
    ],
)
def test_a_key_that_changes_the_meaning_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    folder = saved(tmp_path / "a", **{key: value})
    with pytest.raises(BackendError, match=rf"adapter_config.json: {key} is set, which isn't") as c:
        pairs_of(folder)
    assert str(folder) in str(c.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"init_lora_weights": "PiSSA_niter_16"}, "init_lora_weights is 'PiSSA_niter_16'"),
        ({"init_lora_weights": "corda"}, "convert it by peft's save_pretrained"),
        ({"init_lora_weights": "loftq"}, "trained beside a changed base"),
        ({"init_lora_weights": "lora_ga"}, "trained beside a changed base"),
        ({"init_lora_weights": "tomorrow"}, "trained beside a changed base"),
        ({"bias": "all"}, "trained biases aren't understood"),
        ({"peft_type": "IA3"}, "adapters of kind 'IA3' aren't understood"),
        ({"task_type": "SEQ_CLS"}, "task_type is 'SEQ_CLS'"),
        ({"task_type": "\n\n"}, "task_type is ''; it must be CAUSAL_LM"),
        ({"r": None}, "invalid ranks or scales"),
        ({"r": 0}, "a rank is below 1"),
        ({"alpha_pattern": {"(": 2}}, "invalid ranks or scales"),
        ({"rank_pattern": ["q_proj"]}, "invalid ranks or scales"),
    ],
)
def test_a_configuration_that_is_not_understood(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BackendError, match=sentence):
        pairs_of(saved(tmp_path / "a", **changes))


def lacking(part: str) -> Callable[[Tensors], Any]:
    name = f"base_model.model.{Q.format(1).removesuffix('.weight')}.lora_{part}.weight"
    return lambda found: found.pop(name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lacking("B"), r"layers\.1\..*lora_A.weight isn't one of the two matrices"),
        (lacking("A"), r"layers\.1\..*lora_B.weight isn't one of the two matrices"),
        (lambda t: t.update(tensors(2)), "the model has no weight model.layers.2."),
        (lambda t: t.update(tensors(1, out=9)), r"is \(8, 4\) in the model, \(9, 4\) in it"),
        (lambda t: t.update(tensors(1, rank=3)), "though .* says rank 2; the two files don't"),
        (
            lambda t: t.update({"base_model.model.lm_head.base_layer.weight": np.ones((9, 4))}),
            "lm_head.base_layer.weight isn't one of the two",
        ),
        (
            lambda t: t.update({"base_model.model.norm.lora_magnitude_vector": np.ones(4)}),
            "lora_magnitude_vector isn't one of the two",
        ),
        (lambda t: (lacking("A")(t), lacking("B")(t)), r"names model\.layers\.1\..*no matrices"),
    ],
    ids=["no B", "no A", "deeper", "wider", "rank", "base layer", "magnitude", "shallower"],
)
def test_tensors_are_the_model_s_own(
    tmp_path: Path, change: Callable[[Tensors], Any], sentence: str
) -> None:
    found = tensors(0, 1)
    change(found)
    with pytest.raises(BackendError, match=sentence):
        fitting_pairs(saved(tmp_path / "a", found), WEIGHTS)


@pytest.mark.parametrize(
    ("changes", "whole"),
    [
        ({"layers_to_transform": [0]}, True),
        ({"layers_to_transform": 0}, True),
        ({"layers_to_transform": [0, 1]}, False),
        ({"target_modules": r".*layers\.0\.self_attn\.(q_proj|k_proj)"}, True),
        ({"target_modules": r".*self_attn\.(q_proj|k_proj)"}, False),  # as unsloth writes it
        ({"target_modules": "all-linear"}, True),  # which modules, only peft knows
        ({"exclude_modules": ["k_proj"]}, True),
    ],
)
def test_an_adapter_of_some_layers_has_all_that_it_names(
    tmp_path: Path, changes: dict[str, Any], whole: bool
) -> None:
    folder = saved(tmp_path / "a", tensors(0), **changes)
    if whole:
        assert list(fitting_pairs(folder, WEIGHTS)) == [Q.format(0)]
    else:
        with pytest.raises(BackendError, match=r"names model\.layers\.1\..*no matrices"):
            fitting_pairs(folder, WEIGHTS)


def test_files_that_are_missing(tmp_path: Path) -> None:
    folder = saved(tmp_path / "a")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(BackendError, match="its weights are pickled"):
        pairs_of(folder)
    (folder / "adapter_model.bin").unlink()
    with pytest.raises(BackendError, match=r"adapter_model.safetensors: can't be read: No such"):
        pairs_of(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(BackendError, match=r"adapter_config.json: can't be read: No such"):
        pairs_of(folder)


@pytest.mark.parametrize(("layer", "width", "fits"), [(1, 4, True), (2, 4, False), (1, 5, False)])
def test_a_vector_fits_its_model(tmp_path: Path, layer: int, width: int, fits: bool) -> None:
    (tmp_path / "steering.json").write_text(json.dumps({"layer": layer}))
    save_file({"vector": np.ones(width, np.float32)}, tmp_path / "adapter_model.safetensors")
    frame = Frame("Model", WEIGHTS, 2, 4, frozenset())
    if fits:
        check_fit(tmp_path, frame)
        return
    with pytest.raises(BackendError, match="doesn't fit the model, which has 2 layers of width 4"):
        check_fit(tmp_path, frame)
