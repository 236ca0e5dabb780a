"""What a vLLM server would leave out without a word is refused before it is posted."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from simulator.backends.config import VLLMConfig
from simulator.backends.http_client import PostRefused, Refused
from simulator.backends.refusals import refusal_of
from simulator.backends.vllm_adapters import Adapters, adapters_of, served_name
from simulator.core.adapters import Adapter
from simulator.core.errors import BackendError
from simulator.models.reference import ModelRef
from tests.helpers import tiny_models

Kind = Literal["merged", "beside"]
KINDS: tuple[Kind, ...] = ("merged", "beside")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    deep = {**tiny_models.SHAPE, "num_hidden_layers": 3}
    wide = {**tiny_models.SHAPE, "intermediate_size": 128}
    return {
        "own": tiny_models.build("llama", root / "own"),
        "deeper": tiny_models.build("llama", root / "deeper", shape=deep),
        "wider": tiny_models.build("llama", root / "wider", shape=wide),
    }


def saved(model: str, out: Path, **settings: Any) -> Adapter:
    base = AutoModelForCausalLM.from_pretrained(model)
    settings = {"r": 4, "target_modules": "all-linear", **settings}
    get_peft_model(base, LoraConfig(**settings)).save_pretrained(str(out))
    return Adapter(out.name, out)


def opened(kind: Kind, model: str) -> tuple[Adapters, list[str]]:
    posted: list[str] = []

    def post(path: str, body: Mapping[str, Any]) -> None:
        posted.append(path)

    return adapters_of(VLLMConfig(adapters=kind), ModelRef(model), post), posted


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_s_own_adapter_is_posted(
    kind: Kind, models: dict[str, str], tmp_path: Path
) -> None:
    adapters, posted = opened(kind, models["own"])
    adapters.load(saved(models["own"], tmp_path / "a"))
    assert len(posted) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whose", ["deeper", "wider"])
def test_another_model_s_adapter_is_not_posted(
    kind: Kind, whose: str, models: dict[str, str], tmp_path: Path
) -> None:
    adapters, posted = opened(kind, models["own"])
    adapter = saved(models[whose], tmp_path / "theirs")
    with pytest.raises(BackendError, match="adapter theirs isn't a plain LoRA adapter of this"):
        adapters.load(adapter)
    assert posted == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_variant_is_not_posted(kind: Kind, models: dict[str, str], tmp_path: Path) -> None:
    adapters, posted = opened(kind, models["own"])
    adapter = saved(models["own"], tmp_path / "a")
    file = adapter.path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"use_dora": True}))
    with pytest.raises(BackendError, match="use_dora is set"):
        adapters.load(adapter)
    assert posted == []


def test_what_a_server_has_no_room_for_beside_the_weights(
    models: dict[str, str], tmp_path: Path
) -> None:
    adapters, posted = opened("beside", models["own"])
    with pytest.raises(BackendError, match=r"its rank is 20, .* ranks up to 16; raise backend"):
        adapters.load(saved(models["own"], tmp_path / "a", r=20))
    head = saved(models["own"], tmp_path / "b", target_modules=["q_proj", "lm_head"])
    with pytest.raises(BackendError, match=r"lm_head"):
        adapters.load(head)
    assert posted == []


def test_a_model_that_is_not_here_is_compared_with_nothing(
    models: dict[str, str], tmp_path: Path
) -> None:
    adapters, posted = opened("beside", "someone/a-model")
    adapters.load(saved(models["deeper"], tmp_path / "a"))
    assert len(posted) == 1


class Served:
    """What a server has loaded, by vLLM's rules; the first answer of some paths is lost."""

    def __init__(self, loaded: Sequence[str], lost: Sequence[str]) -> None:
        self.loaded, self.lost = dict.fromkeys(loaded, "elsewhere"), set(lost)

    def __call__(self, path: str, body: Mapping[str, Any]) -> None:
        name = body["lora_name"]
        loads = path == "/v1/load_lora_adapter"
        times = 1 + (path in self.lost)  # a lost answer is asked for again
        self.lost.discard(path)
        for _ in range(times):
            if loads == (name in self.loaded):
                raise refused(400 if loads else 404)
            if loads:
                self.loaded[name] = body["lora_path"]
            else:
                del self.loaded[name]


def refused(status: int) -> PostRefused:
    return PostRefused(Refused(refusal_of(status, "no"), f"error {status}"))


@pytest.mark.parametrize(
    ("loaded", "lost"), [(["one"], []), ([], ["/v1/load_lora_adapter"]),
                         ([], ["/v1/unload_lora_adapter"])]
)  # fmt: skip
def test_what_a_stopped_run_or_a_lost_answer_left_is_loaded_anew(
    loaded: list[str], lost: list[str], models: dict[str, str], tmp_path: Path
) -> None:
    one, two = (saved(models["own"], tmp_path / name) for name in ("one", "two"))
    served = Served([served_name(one)] * len(loaded), lost)
    adapters = adapters_of(VLLMConfig(adapters="beside"), ModelRef(models["own"]), served)
    adapters.load(one)
    assert served.loaded == {served_name(one): str(one.path)}
    adapters.load(two)
    adapters.drop_previous()
    assert served.loaded == {served_name(two): str(two.path)}


def test_an_adapter_that_the_server_refuses_is_said(models: dict[str, str], tmp_path: Path) -> None:
    def post(path: str, body: Mapping[str, Any]) -> None:
        raise refused(400 if path == "/v1/load_lora_adapter" else 404)

    adapters = adapters_of(VLLMConfig(adapters="beside"), ModelRef(models["own"]), post)
    with pytest.raises(BackendError, match="error 400"):
        adapters.load(saved(models["own"], tmp_path / "a"))


def test_runs_that_learned_the_same_have_adapters_of_their_own_at_a_server(
    models: dict[str, str], tmp_path: Path
) -> None:
    one = saved(models["own"], tmp_path / "first" / "same")
    other = saved(models["own"], tmp_path / "second" / "same")
    served = Served([], [])
    for adapter in (one, other):
        runs = adapters_of(VLLMConfig(adapters="beside"), ModelRef(models["own"]), served)
        runs.load(adapter)
        assert runs.answering(adapter).model in served.loaded
    assert one.name == other.name and len(served.loaded) == 2
