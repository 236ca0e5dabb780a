"""Checking a model's folder by its small files and headers, before any work.

Whatever isn't a folder here is taken for a hub id, about which nothing is asked.
"""

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from simulator.core.errors import BackendError
from simulator.models.library.cache import SUFFIX
from simulator.models.library.gguf_checks import checked_header
from simulator.models.reference import ModelRef
from simulator.models.tokenizer_files import check_tokenizer
from simulator.models.weights_files import INDEX, WEIGHTS, Shapes, model_shapes, read_object

CONFIG, ADAPTER_CONFIG, STEERING = "config.json", "adapter_config.json", "steering.json"
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
A_MODEL = f"a model is a folder with {CONFIG}, {WEIGHTS} and a tokenizer"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# What trainers leave beside the weights.
LEFTOVERS = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state\w*)\.\w+$")
# Libraries that transformers needs for weights of these kinds.
LIBRARIES = {
    "bitsandbytes": "bitsandbytes", "gptq": "gptqmodel", "awq": "gptqmodel",
    "auto-round": "auto_round", "compressed-tensors": "compressed_tensors", "aqlm": "aqlm",
    "vptq": "vptq", "quanto": "optimum.quanto", "eetq": "eetq", "hqq": "hqq", "torchao": "torchao",
    "quark": "quark", "spqr": "spqr_quant", "fp_quant": "fp_quant", "sinq": "sinq",
}  # fmt: skip
OTHER_HEADS = re.compile(
    r"(For(MaskedLM|NextSentence|PreTraining|MultipleChoice|\w*Classification|\w*QuestionAnswering"
    r"|\w*Retrieval)|Reward\w*|\w*Encoder)$"
)

FolderState: TypeAlias = tuple[tuple[str, int, int], ...]  # names, sizes and times of files


def local_folder(model: ModelRef) -> Path | None:
    """Return a model's folder; None for a hub id, and for a model that isn't fetched yet.

    Raises:
        BackendError: it is a file, or a path to nothing.
    """
    path = Path(model.path)
    if path.is_dir():
        return path
    if model.source:  # it isn't fetched yet
        _check_gguf(Path(model.source))
        return None
    if path.is_file():
        raise BackendError(f"the model '{path}' can't be loaded: {_of_file(path)}")
    if path.suffix.lower() == SUFFIX:
        raise BackendError(f"the model '{path}' can't be loaded: there is no such file")
    if not HUB_ID.fullmatch(model.path) or model.path.startswith("."):
        raise BackendError(
            f"the model '{path}' can't be loaded: there is no such folder; {A_MODEL}"
        )
    return None


def _check_gguf(file: Path) -> None:
    """Refuse a GGUF file that can't be converted; known models aren't files here."""
    if file.is_file():
        checked_header(file)


def state_of(model: ModelRef) -> FolderState:
    """Return what tells whether a model's files have changed; empty for a hub id."""
    files = (file for file in sorted(Path(model.path).glob("*")) if file.is_file())
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def check_folder(model: ModelRef, *, weights: bool = True) -> Path | None:
    """Refuse a folder that can't be loaded as a causal language model with its tokenizer.

    Args:
        model: the model.
        weights: whether its weights are needed, and not just its tokenizer.

    Returns:
        Its folder; None for a hub id.

    Raises:
        BackendError: says what is wrong with it.
    """
    folder = local_folder(model)
    if folder is None:
        return None
    try:
        _check(folder, model, weights)
    except BackendError as error:
        raise BackendError(f"the model '{model}' can't be loaded: {error}") from None
    return folder


def _check(folder: Path, model: ModelRef, weights: bool) -> None:
    _refuse_adapters(folder)
    if not (folder / CONFIG).is_file():
        raise BackendError(f"{_without_config(folder)}; {A_MODEL}")
    config = read_object(folder / CONFIG)
    _check_kind(folder, config)
    shapes: Shapes = {}
    if weights:
        _check_format(folder)
        shapes = model_shapes(folder)
    check_tokenizer(model, folder, config, shapes)


def quantisation_of(config: Mapping[str, Any]) -> str:
    """Return the method by which a model's weights are quantised; empty if they aren't."""
    found = config.get("quantization_config") or {}
    method = found.get("quant_method") if isinstance(found, Mapping) else None
    if method is None and isinstance(found, Mapping) and found:
        method = "bitsandbytes"  # its early files don't name the method
    return str(method or "")


def check_library(folder: Path) -> None:
    """Refuse quantised weights if transformers lacks the library that reads them.

    Raises:
        BackendError: names it.
    """
    method = quantisation_of(read_object(folder / CONFIG))
    library = LIBRARIES.get(method)
    if library is not None and not _installed(library):
        raise BackendError(
            f"the model '{folder}' can't be loaded: its weights are quantised by {method}, for "
            f"which '{library.partition('.')[0]}' isn't installed; install it, or name the "
            "unquantised model"
        )


def _refuse_adapters(folder: Path) -> None:
    if not ((folder / ADAPTER_CONFIG).is_file() or (folder / STEERING).is_file()):
        return
    if has_weights(folder):
        raise BackendError(
            "an adapter lies beside the model, and transformers would load both; move "
            f"{ADAPTER_CONFIG} and adapter_model.* elsewhere, or merge the adapter into the model"
        )
    base = ""
    if (folder / ADAPTER_CONFIG).is_file():
        base = str(read_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "")
    of = f" of '{base}'" if base else ""
    raise BackendError(
        f"this is an adapter{of}, not a model; name its base, or merge it by peft's "
        "merge_and_unload and save the result with the tokenizer"
    )


def _check_kind(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse what isn't a causal language model."""
    if not config.get("model_type") and "auto_map" not in config:
        raise BackendError(
            f"{folder / CONFIG}: it has no model_type, so the architecture isn't known; copy it "
            "from the model's source"
        )
    named = [name for name in config.get("architectures") or () if isinstance(name, str)]
    if named and all(OTHER_HEADS.search(name) for name in named):
        raise BackendError(_not_causal(named[0]))
    if config.get("is_encoder_decoder"):
        name = named[0] if named else str(config.get("model_type"))
        raise BackendError(_not_causal(name))


def _not_causal(name: str) -> str:
    return f"a {name} isn't a causal language model; name a model that writes text by itself"


def _installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except ModuleNotFoundError:
        return False


def has_weights(folder: Path) -> bool:
    """Return whether there are a model's weights in a folder, as safetensors."""
    return (folder / WEIGHTS).is_file() or (folder / INDEX).is_file()


def _check_format(folder: Path) -> None:
    """Refuse a folder without weights, or with weights of other formats only."""
    if has_weights(folder):
        return
    if others := sorted(path.name for path in folder.glob("*.safetensors")):
        raise BackendError(
            f"there are weights in {others[0]}, but neither {WEIGHTS} nor {INDEX}; copy "
            "the model again"
        )
    found = (path.name for kind in PICKLES for path in folder.glob(kind))
    if pickles := sorted(name for name in found if not LEFTOVERS.match(name)):
        raise BackendError(
            f"its weights are pickled ({pickles[0]}), and reading those can run code; if "
            "you trust its author, load it in transformers and save it by save_pretrained"
        )
    if any(folder.glob("*.gguf")):
        raise BackendError("its weights are GGUF; name the GGUF file itself, which is converted")
    raise BackendError(f"there are no weights in it; {A_MODEL}")


def _without_config(folder: Path) -> str:
    """Return a sentence on a folder without a configuration."""
    inner = [p.parent for kind in ("*", "snapshots/*") for p in folder.glob(f"{kind}/{CONFIG}")]
    if inner:
        newest = max(inner, key=lambda path: path.stat().st_mtime)
        return f"there is no {CONFIG} in it, but in {newest}; name a folder within it"
    if (folder / "manifest.json").is_file():
        return "this is a run's folder, not a model"
    if any(folder.glob("*.gguf")):
        return "there are only GGUF weights in it; name the GGUF file itself, which is converted"
    if (folder / "params.json").is_file():
        return "this is a model in its author's own format; convert it for transformers"
    return f"there is no {CONFIG} in it"


def _of_file(path: Path) -> str:
    """Return a sentence on a file that was given as a model."""
    if (path.parent / CONFIG).is_file():
        return f"this is one file of a model; name its folder, {path.parent}"
    return f"this is a file; {A_MODEL}"
