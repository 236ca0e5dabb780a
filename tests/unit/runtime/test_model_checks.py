"""All local models of a scenario are checked before any work, and what is named in them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPT2Config,
    MambaConfig,
    PretrainedConfig,
)

from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError
from simulator.experiments.dry_run import dry_run_table
from simulator.experiments.run import start
from simulator.models.resolve import resolve
from simulator.runtime.model_checks import check_models
from simulator.runtime.observers import Silent
from tests.helpers import tiny_models
from tests.helpers.broken_folders import edit

ENDPOINT = {"kind": "openai", "url": "http://127.0.0.1:9/v1"}
LOCAL = {"kind": "transformers", "context": 256}
DIRECTION = {side: [{"kind": "file", "path": "chats.jsonl"}] for side in ("positive", "negative")}
CONFIGS: dict[str, tuple[type[PretrainedConfig], dict[str, int]]] = {
    "gpt2": (GPT2Config, {"n_positions": 512, "n_embd": 64, "n_layer": 2, "n_head": 2}),
    "bloom": (BloomConfig, {"hidden_size": 64, "n_layer": 2, "n_head": 2}),
    "mamba": (MambaConfig, {"hidden_size": 64, "num_hidden_layers": 2}),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random models of many architectures, by name."""
    root = tmp_path_factory.mktemp("models")
    tiny_models.build("llama", root / "llama")
    tokenizer = tiny_models.FAMILIES["llama"].tokenizer()
    special = dict.fromkeys(("eos_token_id", "bos_token_id", "pad_token_id"), 4)
    for name, (config, shape) in CONFIGS.items():
        settings = config(**special, **shape, vocab_size=len(tokenizer))
        built = AutoModelForCausalLM.from_config(settings)
        built.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return root


def played(model: str | Path, tmp_path: Path, **changes: Any) -> Scenario:
    """A scenario that models play, with an endpoint in all roles."""
    content = {"extends": "therapy", "backend": LOCAL, "model": str(model), **changes}
    roles = {role: {"model": "any", "backend": ENDPOINT} for role in ("user", "rater", "judge")}
    content["roles"] = roles | changes.get("roles", {})
    (tmp_path / "chats.jsonl").write_text('{"prompt": "a", "reply": "b"}\n' * 8)
    file = tmp_path / "played.yaml"
    file.write_text(json.dumps(content))
    return load(str(file))


def refusal(scenario: Scenario) -> str:
    with pytest.raises(ScenarioError) as caught:
        check_models(scenario)
    return "\n".join(caught.value.mistakes)


LORA = {"kind": "sft", "adapter": {"kind": "lora"}}


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("llama", {}, None),
        ("gpt2", {}, "a GPT2LMHeadModel has no linear layers that LoRA can adapt; set adapter"),
        ("gpt2", {"learner": {"kind": "none"}}, None),
        ("gpt2", {"learner": {"kind": "sft", "adapter": {"kind": "steering", "layer": 1}}}, None),
        ("bloom", {}, None),
        ("bloom", {"backend": {"kind": "transformers"}}, "set backend.context to a number of"),
        ("bloom", {"backend": {"kind": "vllm"}}, "set backend.context to a number of"),
        ("mamba", {}, "a MambaForCausalLM carries a state from token to token"),
        ("mamba", {"backend": {"kind": "vllm", "context": 256}}, None),
        ("llama", {"backend": {"kind": "transformers", "context": 9000}}, "9000 is more than the"),
        (
            "llama",
            {"learner": {"kind": "sft", "adapter": {"kind": "lora", "modules": ["up_prj"]}}},
            "learner.adapter.modules: unknown linear layer 'up_prj' (did you mean 'up_proj'?)",
        ),
        (
            "llama",
            {"learner": {"kind": "sft", "adapter": {"kind": "lora", "layers": [0, 2]}}},
            "learner.adapter.layers: unknown layer 2; the model's layers are 0 to 1",
        ),
        (
            "llama",
            {"learner": {"kind": "sft", "adapter": {"kind": "steering", "layer": 5}}},
            "learner.adapter.layer: unknown layer 5",
        ),
        (
            "llama",
            {"directions": {"kind": {**DIRECTION, "layer": 7}}},
            "directions.kind.layer: unknown layer 7; the model's layers are 0 to 1",
        ),
    ],
)
def test_what_an_architecture_lacks(
    models: Path, tmp_path: Path, name: str, changes: dict[str, Any], sentence: str | None
) -> None:
    scenario = played(models / name, tmp_path, **changes)
    if sentence is None:
        check_models(scenario)
    else:
        assert sentence in refusal(scenario)


@pytest.mark.parametrize(
    ("adapter", "sentence"),
    [
        ({"kind": "lora", "modules": ["attn"]}, "unknown linear layer 'attn'"),
        ({"kind": "lora", "layers": [5]}, "unknown layer 5; the model's layers are 0 to 4"),
        ({"kind": "steering", "layer": 9}, "unknown layer 9"),
    ],
)
def test_the_organism_s_places_are_checked_without_model_libraries(
    tmp_path: Path, adapter: dict[str, Any], sentence: str
) -> None:
    file = tmp_path / "mine.yaml"
    content = {"extends": "quickstart", "learner": {"kind": "sft", "adapter": adapter}}
    file.write_text(json.dumps(content))
    program = (
        "import sys\n"
        "from simulator.config.loading import load\n"
        "from simulator.core.errors import ScenarioError\n"
        "from simulator.runtime.model_checks import check_models\n"
        "try:\n    check_models(load(sys.argv[1]))\n"
        "except ScenarioError as error:\n    print(error)\n"
        "print(sorted({'torch', 'transformers'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )
    assert sentence in done.stdout and done.stdout.endswith("[]\n")


def test_every_local_model_in_use_is_named_with_its_place(models: Path, tmp_path: Path) -> None:
    roles = {
        "user": {"model": str(tmp_path / "nothing"), "backend": LOCAL},
        "judge": {"model": str(models / "mamba"), "backend": LOCAL},
        "unused": {"model": "./nothing", "backend": LOCAL},
    }
    told = refusal(played(tmp_path / "none", tmp_path, roles=roles)).splitlines()
    assert [line.partition(": ")[0] for line in told] == [
        "model", "roles.judge.model", "roles.user.model"
    ]  # fmt: skip


def test_an_endpoint_s_model_is_only_a_name(tmp_path: Path) -> None:
    scenario = played("/no/folder", tmp_path, backend=ENDPOINT, learner={"kind": "none"})
    check_models(scenario)


def test_a_server_s_own_weights_need_not_be_here(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    for file in (models / "llama").iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    remote = {"kind": "vllm", "url": "http://127.0.0.1:9", "context": 256}
    check_models(played(folder, tmp_path, backend=remote, learner={"kind": "none"}))
    assert "no weights in it" in refusal(played(folder, tmp_path, backend=remote, learner=LORA))


def test_adapters_are_not_merged_into_quantised_weights(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "quantised"
    folder.mkdir()
    for file in (models / "llama").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    edit(folder / "config.json", quantization_config={"quant_method": "fp8"})
    assert "so adapters can't be merged" in refusal(played(folder, tmp_path, learner=LORA))


@pytest.mark.parametrize("fits", [True, False])
def test_adapters_that_probes_name_are_checked(tmp_path: Path, fits: bool) -> None:
    other = tmp_path / "other"
    other.mkdir()
    width = json.loads((Path(resolve("organism:0").path) / "config.json").read_text())
    vector = torch.ones(width["hidden_size"] + (not fits))
    save_file({"vector": vector}, other / "adapter_model.safetensors")
    (other / "steering.json").write_text('{"layer": 1}')
    world = {"kind": "world", "rows": 40, "asked": ["pressured"]}
    file = tmp_path / "mine.yaml"
    content = {
        "extends": "quickstart",
        "directions": {
            "pleasing": {
                "positive": [{**world, "speaker": "sycophant"}],
                "negative": [{**world, "speaker": "honest"}],
            }
        },
        "measure": {
            "probes": {
                "d": {"kind": "directions", "direction": "pleasing", "transfer": {"x": str(other)}}
            }
        },
    }
    file.write_text(json.dumps(content))
    scenario = load(str(file))
    if fits:
        check_models(scenario)
    else:
        assert "measure.probes.d.transfer.x: " in refusal(scenario)


@pytest.mark.parametrize("way", ["run", "dry run", "validate"])
def test_nothing_is_made_of_a_model_that_is_refused(models: Path, tmp_path: Path, way: str) -> None:
    scenario = played(models / "mamba", tmp_path)
    out = tmp_path / "runs" / "one"
    if way == "validate":
        from simulator.cli.schemas import check

        with pytest.raises(ScenarioError, match="carries a state"):
            check(str(tmp_path / "played.yaml"), (), print)
    else:
        with pytest.raises(ScenarioError, match="carries a state"):
            start(scenario, out, Silent()) if way == "run" else dry_run_table(scenario)
    assert not out.parent.exists()
