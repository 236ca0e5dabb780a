"""Configurations of LoRA adapters: read by an allow-list of what is understood.

peft adds keys in every version and takes what it doesn't know for nothing. So any key beyond the
list must have a value that switches it off.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from simulator.core.errors import BackendError, shortened
from simulator.models.weights_files import read_object

ADAPTER_CONFIG = "adapter_config.json"
# Keys that alone don't change what a trained adapter computes.
WITHOUT_EFFECT = frozenset(
    ("auto_mapping", "base_model_name_or_path", "revision", "inference_mode", "peft_version",
     "peft_type", "task_type", "lora_dropout", "target_modules", "exclude_modules",
     "layers_to_transform", "layers_pattern", "megatron_config", "megatron_core",
     "qalora_group_size", "runtime_config", "loftq_config", "eva_config", "corda_config",
     "lora_ga_config")
)  # fmt: skip
HONOURED = frozenset(("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "bias",
                      "init_lora_weights"))  # fmt: skip
# Ways to begin that leave the base as it is; others train beside a base that they have changed.
PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")
TASKS = (None, "CAUSAL_LM")
IN_A_LAYER = re.compile(r".*\.[^.]*\.(\d+)\.")  # as peft finds a module's layer


class LoRASettings(NamedTuple):
    """What an adapter's configuration says of its scale."""

    rank: int
    alpha: float
    rank_stabilised: bool
    ranks: Mapping[str, int]  # of modules that differ, by a pattern of their names
    alphas: Mapping[str, float]
    targets: tuple[str, ...] | str  # names of modules or a pattern; empty: not known here
    layers: tuple[int, ...]  # those adapted; empty: all

    def adapts(self, module: str) -> bool:
        """Return whether a linear module, by its whole name, is known to be adapted."""
        if isinstance(self.targets, str):
            return bool(self.targets and re.fullmatch(self.targets, module))
        layer = IN_A_LAYER.match(module)
        if self.layers and not (layer and int(layer[1]) in self.layers):
            return False
        return any(module == target or module.endswith(f".{target}") for target in self.targets)

    def rank_of(self, module: str) -> int:
        """Return the rank of a module, by its whole name."""
        return next(iter(_matching(self.ranks, module)), self.rank)

    def scale_of(self, module: str) -> float:
        """Return the factor of a module's product of matrices."""
        rank, alpha = self.rank_of(module), next(iter(_matching(self.alphas, module)), self.alpha)
        return float(alpha / rank**0.5 if self.rank_stabilised else alpha / rank)


def read_lora(folder: Path) -> LoRASettings:
    """Read an adapter's configuration.

    Raises:
        BackendError: it can't be read, or says something that isn't understood.
    """
    file = folder / ADAPTER_CONFIG
    config = read_object(file)
    _refuse_other_kinds(file, config)
    try:
        found = LoRASettings(
            int(config["r"]),
            float(config["lora_alpha"]),
            bool(config.get("use_rslora")),
            {key: int(rank) for key, rank in (config.get("rank_pattern") or {}).items()},
            {key: float(alpha) for key, alpha in (config.get("alpha_pattern") or {}).items()},
            _targets(config),
            _layers(config),
        )
        patterns = found.targets if isinstance(found.targets, str) else ""
        [re.compile(key) for key in (*found.ranks, *found.alphas, patterns)]
    except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
        raise BackendError(f"{file}: invalid ranks or scales: {error!r}") from None
    if min((found.rank, *found.ranks.values())) < 1:
        raise BackendError(f"{file}: a rank is below 1")
    return found


def _refuse_other_kinds(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse whatever isn't a plain product of two matrices."""
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise BackendError(
            f"{file}: adapters of kind {shortened(kind)!r} aren't understood; only LORA's are"
        )
    if config.get("task_type") not in TASKS:
        raise BackendError(
            f"{file}: task_type is {shortened(config['task_type'])!r}; it must be CAUSAL_LM"
        )
    start = config.get("init_lora_weights", True)
    if (start.lower() if isinstance(start, str) else start) not in PLAIN_STARTS:
        raise BackendError(
            f"{file}: init_lora_weights is {start!r}, so it was trained beside a changed base; "
            "convert it by peft's save_pretrained(…, path_initial_model_for_weight_conversion=…)"
        )
    if config.get("bias", "none") != "none":
        raise BackendError(f"{file}: bias is {config['bias']!r}: trained biases aren't understood")
    others = {key: config[key] for key in config.keys() - WITHOUT_EFFECT - HONOURED}
    if strange := sorted(key for key, value in others.items() if not _is_off(value)):
        raise BackendError(
            f"{file}: {strange[0]} is set, which isn't understood; use a plain LoRA adapter, or "
            "the merged model, if peft's merge_and_unload can merge it"
        )


def _is_off(value: object) -> bool:
    """Return whether a setting is at a value that switches it off."""
    if isinstance(value, Mapping):
        return all(map(_is_off, value.values()))
    return value is None or value is False or value in ("", "none") or value == []


def _targets(config: Mapping[str, Any]) -> tuple[str, ...] | str:
    """Return the names of all adapted modules or their pattern, if the configuration has them."""
    listed = config.get("target_modules")
    if any(not _is_off(config.get(key)) for key in ("exclude_modules", "layers_pattern")):
        return ()
    if isinstance(listed, str):
        return "" if listed == "all-linear" else listed
    return tuple(map(str, listed or ()))


def _layers(config: Mapping[str, Any]) -> tuple[int, ...]:
    found = config.get("layers_to_transform")
    return tuple(map(int, found if isinstance(found, list) else [] if found is None else [found]))


def _matching(patterns: Mapping[str, Any], module: str) -> list[Any]:
    """Return the values whose pattern matches a module's name, in order, as peft matches them."""
    return [value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)]
