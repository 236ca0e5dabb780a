"""The settings of a world of facts."""

from pathlib import Path

from pydantic import Field

from simulator.core.config import Config, PathText
from simulator.worlds.fact_data import SHIPPED, load_facts
from simulator.worlds.facts import FactWorld


class FactsConfig(Config):
    """Facts of the real world, for models that were trained on it.

    Only facts that the assistant believes before any update are asked about.
    """

    data: PathText | None = Field(
        None,
        description="A facts file (CSV) or a folder of them, see `simulator.worlds.fact_data`; "
        "empty: the shipped facts.",
    )

    @property
    def source(self) -> Path:
        """The file or folder of the facts."""
        return Path(self.data) if self.data else SHIPPED

    def world(self, seed: int) -> FactWorld:
        """Read the world; the seed draws which subjects are held out of conversations.

        Raises:
            ScenarioError: lists the mistakes in the data, each with file and line.
        """
        return FactWorld(seed, load_facts(self.source))
