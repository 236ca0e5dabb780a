"""What the runs of a sweep share."""

from pathlib import Path
from typing import NamedTuple

from simulator.backends.vllm_server import SharedServer


class Shared(NamedTuple):
    """What a run needn't make itself; by default, everything is its own."""

    measurements: Path | None = None  # a folder of those that several runs would make alike
    server: SharedServer | None = None  # of the assistant


NOTHING = Shared()
