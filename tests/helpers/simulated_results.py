"""Results of a study that nobody had to run: what is compared is known beforehand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.studies.quantities import Measure, NotMeasured, Quantities, Quantity, Results, Unit


class Simulated(Results):
    """Reads values from arrays instead of runs; what is made of them is `Results`' own.

    Args:
        arms: of each arm the values of its bases, (bases,), or of what was asked on each of them,
            (bases, items); of correlations, by metric, those of checkpoints.
        by_metric: are the names "arm metric" instead?
    """

    def __init__(self, arms: Mapping[str, Any], *, by_metric: bool = False) -> None:
        self._arms = {name: np.atleast_1d(np.asarray(values)) for name, values in arms.items()}
        self._by_metric = by_metric
        self.replicate = "base"

    def by_replicate(
        self, quantities: Quantities, beside: Sequence[Quantity] = ()
    ) -> dict[str, float]:
        bases = min(len(self._of(one)) for one in (*quantities, *beside))
        columns = [self._of(quantity)[:bases] for quantity in quantities]
        means = np.mean([column.reshape(len(column), -1).mean(axis=1) for column in columns], 0)
        return {str(base): float(mean) for base, mean in enumerate(means)}

    def by_unit(
        self, quantities: Quantities, unit: Unit, beside: Sequence[Quantity] = ()
    ) -> dict[str, "pd.Series[float]"]:
        (quantity,) = quantities
        values = self._of(quantity)
        rows = values if values.ndim == 2 else values[:, None]
        return {str(base): pd.Series(row) for base, row in enumerate(rows)}

    def checkpoints(self, arm: str, measure: Measure, ends: bool) -> dict[str, list[float]]:
        return {str(base): list(row) for base, row in enumerate(self._arms[measure.metric])}

    def _of(self, quantity: Quantity) -> np.ndarray:
        name = f"{quantity.arm} {quantity.metric}" if self._by_metric else quantity.arm
        if name not in self._arms:
            raise NotMeasured(f"there is no {name}")
        return self._arms[name]
