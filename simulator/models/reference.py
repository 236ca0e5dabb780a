"""What identifies a model as it is used: its weights and how they are loaded."""

from typing import NamedTuple

TEMPLATE_DATE = "2026-01-01"


class ModelRef(NamedTuple):
    """A model and the settings that change what it reads."""

    path: str  # a local path or a hub id
    trust_remote_code: bool = False  # whether Python in the model's folder may run
    template_date: str = TEMPLATE_DATE  # ISO 8601; what chat templates take for today
    source: str = ""  # the name or the GGUF file that it is converted from, if it is

    def __str__(self) -> str:
        return self.source or self.path
