"""The monitor of a world: it knows the facts, and errs at set rates."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from agents.base import MonitorContext, Verdict
from agents.llm_monitors import MonitorConfig
from simulator.core.asks import Ask, known
from simulator.core.config import Number


class FactCheckMonitor(MonitorConfig):
    """Vetoes false statements: an oracle with errors, which asks no model.

    The organism can't judge what it reads. So this monitor compares a statement with the facts, and
    errs at the given rates, the same for every user. A reply can't fool it by lying subtly or to
    some users only.
    """

    kind: Literal["fact_check"] = "fact_check"
    needs: ClassVar[str] = "world"
    roles: ClassVar[frozenset[str]] = frozenset()
    misses: Number = Field(0.0, ge=0, le=1, description="Chance that a false statement passes.")
    false_alarms: Number = Field(
        0.0, ge=0, le=1, description="Chance that any other reply is vetoed."
    )

    def check(self, context: MonitorContext, rng: np.random.Generator) -> Ask[Verdict]:
        """Compare what the reply states with the facts."""
        world = context.required_world
        item = world.item(context.about)
        stated = world.read(context.chat[-1].content, item).value
        false = stated not in (None, world.facts[item])
        mistaken = rng.random() < (self.misses if false else self.false_alarms)
        vetoed = false != mistaken
        reason = "states what is false" if vetoed else ""
        return known(Verdict(vetoed, float(vetoed), reason, prompt=""))
