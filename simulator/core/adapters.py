"""Adapters on disk."""

from dataclasses import dataclass
from pathlib import Path

ADAPTER_WEIGHTS = "adapter_model.safetensors"  # in its folder, as peft calls it


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk. Names are never reused, so no cache can answer for another one."""

    name: str
    path: Path
