"""The organism's monitor: knows what is true in its world, and errs as often as it is told to."""

from typing import ClassVar, Literal

from pydantic import Field

from agents.llm_monitors import Examined, Monitor, Verdict
from simulator.core.asks import Ask, known
from simulator.core.config import Number
from simulator.worlds import language as lang


class FactCheckMonitor(Monitor):
    """Vetoes false statements; an oracle with errors, which asks no model.

    The organism can't judge what it reads. So this one compares a statement with the facts, and
    mistakes one for the other at the given rates, whoever is spoken to. What a reply might do to
    fool a judge (lie subtly, or to some alone) makes no difference to it.
    """

    kind: Literal["fact_check"] = "fact_check"
    needs: ClassVar[str] = "world"
    roles: ClassVar[frozenset[str]] = frozenset()
    misses: Number = Field(0.0, ge=0, le=1, description="Chance to let a false statement pass.")
    false_alarms: Number = Field(0.0, ge=0, le=1, description="Chance to veto any other reply.")

    def examine(self, reply: Examined) -> Ask[Verdict]:
        """Compares what the reply states with the facts."""
        item = reply.facts.item(reply.about)
        stated = lang.read_statement(reply.chat[-1].content, item).value
        false = stated not in (None, reply.facts.facts[item])
        mistaken = reply.rng.random() < (self.misses if false else self.false_alarms)
        vetoed = false != mistaken
        reason = "states what is false" if vetoed else ""
        return known(Verdict(vetoed, float(vetoed), reason, prompt=""))
