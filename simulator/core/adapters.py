"""Adapters on disk."""

from dataclasses import dataclass
from pathlib import Path

ADAPTER_WEIGHTS = "adapter_model.safetensors"  # the file's name in peft's format


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk. Names are never reused, so a cache can't confuse two adapters."""

    name: str
    path: Path
