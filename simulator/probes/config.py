"""The defaults of probes' declarations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from simulator.core.config import Config
from simulator.data.rows import Row
from simulator.probes.base import Place, Surroundings
from simulator.probes.metrics import Metric


class ProbeConfig(Config):
    """The settings of a probe, with the declarations of a probe without needs; see `Probe`."""

    metrics: ClassVar[tuple[Metric, ...]]
    required_capabilities: ClassVar[frozenset[str]] = frozenset()
    requires_world: ClassVar[bool] = False
    requires_characters: ClassVar[bool] = False
    requires_situations: ClassVar[bool] = False

    @classmethod
    def kind_name(cls) -> str:
        """Return the kind by which YAML names the probe."""
        return str(cls.model_fields["kind"].default)

    @property
    def roles(self) -> frozenset[str]:
        """The roles whose models judge the answers: none."""
        return frozenset()

    @property
    def measures(self) -> tuple[str, ...]:
        """The name of its measurement, unique within a scenario: its kind."""
        return (self.kind_name(),)

    @property
    def data_sources(self) -> Mapping[Place, str]:
        """The users' data that it uses: none."""
        return {}

    @property
    def directions(self) -> Mapping[Place, str]:
        """The scenario's directions that it reads: none."""
        return {}

    @property
    def phases(self) -> Mapping[Place, str]:
        """The fine-tuning phases whose rows it uses: none."""
        return {}

    @property
    def checkpoints(self) -> Mapping[Place, str]:
        """The folders of other runs' adapters that it uses: none."""
        return {}

    def check_rows(self, rows: Sequence[Row]) -> None:
        """Refuse users' data that it can't use; see `Probe`."""

    def checks(self, scenario: Surroundings) -> Iterator[tuple[Place, str]]:
        """Yield further mistakes in the scenario; see `Probe`."""
        yield from ()
