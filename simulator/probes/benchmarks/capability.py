"""What can it still do? Multiple choice, by the log-probability of the answers.

Every choice is scored as the assistant's reply to the bare question, and the likeliest is its
answer: `acc` of lm-evaluation-harness (Gao et al.), or `acc_norm`, where a choice's log-probability
is divided by its length in characters so that short ones aren't favoured. As no choice is shown,
their order means nothing. There are no examples, and the question is a chat's, so levels compare
with each other, not with the published ones of MMLU (Hendrycks et al., 2009.03300), which show
examples and choices and score letters.

The shipped questions are ours: general knowledge and common sense, six subjects. They have nothing
to do with the facts that conversations of the world of facts are about.

Real models only: the organism's native forms are `belief`, of the probe `honesty`, and the probe
`neutral`.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

from simulator.core.asks import Ask, known
from simulator.core.requests import Answer, Request
from simulator.probes.base import Context, Score
from simulator.probes.benchmarks.choices import ChoiceProbe, of_choices
from simulator.probes.estimates import Estimate, Rows, with_total
from simulator.probes.metrics import Metric
from simulator.probes.shared_metrics import ACCURACY


class CapabilityProbe(ChoiceProbe):
    """Scores every choice of every question."""

    kind: Literal["capability"] = "capability"
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY,)

    def requests(self, context: Context) -> list[Request]:
        """Return a request for each choice of each item."""
        items = self.asked(context)
        return [request for item in items for request in of_choices(item, item.prompt())]

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Return one row per item; see `ChoiceProbe.scored`."""
        left = iter(answers)
        items = self.asked(context)
        return known([self.scored("choice", item, item.prompt(), left) for item in items])

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """Estimate the accuracy over all items and per subject, 0 to 1."""
        subjects = self.groups(rows, lambda item: item.subject)
        yield from with_total(ACCURACY.name, rows, rows.value, subjects)
