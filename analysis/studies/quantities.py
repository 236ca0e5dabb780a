"""The quantities of findings: a metric of an arm's runs after some round.

The unit is the replicate: the base if runs of several have finished, else the seed. Runs of one
replicate are first averaged over all axes that aren't named. Comparisons are between twins: runs of
the same base and seed. If a run didn't finish, for example because it diverged, its twins are left
out of the comparison. With a single replicate the units are items or clusters, and the probe's
`estimates` computes the value of each from its answers.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from analysis import metrics, statistics
from analysis.run import frames
from analysis.run.spans import baseline_round, spans
from analysis.statistics import Interval
from analysis.sweep import frames as experiment
from simulator.core.config import ByName, Config, Count, Many
from simulator.core.errors import StoreError, shortened
from simulator.probes.base import Probe
from simulator.probes.estimates import UNBOUNDED, Bounds, Rows, estimate, lookup
from simulator.probes.registry import AnyProbe
from simulator.probes.summary import OF_SEVERAL, estimated_by
from simulator.store.run import Run
from simulator.store.sweep import Member, Sweep

_PROBES = TypeAdapter(dict[str, AnyProbe])
DIFFERENCE: Bounds = (-1.0, 1.0)  # of shares
Unit = Literal["item", "cluster"]  # a question's item, or its cluster
ByUnit: TypeAlias = "pd.Series[float]"
Replicate = Literal[
    "base", "run"
]  # what differs between replicates: base and seed, or the seed only
Twin: TypeAlias = tuple[Any, Any]  # base and seed
Cell: TypeAlias = "tuple[Quantity, list[Member]]"  # a quantity and the runs that it averages


class NotMeasured(Exception):
    """A quantity is missing; the message says why, as the end of a sentence."""


class Measure(Config):
    """A metric of item sets."""

    metric: str
    item_set: str | Many[str] = Field("", description="Item sets, averaged; empty: all items.")

    @property
    def item_sets(self) -> tuple[str, ...]:
        """The item sets."""
        return (self.item_set,) if isinstance(self.item_set, str) else self.item_set


class Quantity(Measure):
    """A metric of an arm's runs after a round."""

    arm: str
    where: ByName[Any] = Field({}, description="Values of axes; other axes are averaged.")
    phase: str | None = Field(
        None, description="Measured at the end of this phase; empty: of the run."
    )
    round: Count | None = Field(
        None, ge=0, le=10_000, description="Measured after this round instead."
    )
    from_start: bool = Field(False, description="Whether to subtract the value at the baseline.")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, Mapping | Quantity) else value


# One or several: their mean.
Quantities: TypeAlias = Annotated[
    Many[Quantity],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=Quantity | Many[Quantity]),
]


class Results:
    """The results of a study's finished runs."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        bases = {_base_asked(member) for member in sweep.members if member.finished}
        self.replicate: Replicate = "base" if len(bases) > 1 else "run"
        self._outcomes = lru_cache(maxsize=None)(_outcomes)

    def runs(self, arm: str, where: Mapping[str, Any] | None = None) -> dict[str, list[Member]]:
        """Return the finished runs of an arm, by replicate.

        Raises:
            NotMeasured: there are none.
        """
        planned, found = self._planned(arm, where or {}), dict[str, list[Member]]()
        for member in planned:
            if member.finished:
                found.setdefault(self._replicate_of(member), []).append(member)
        if not found:
            raise _lacking(planned, arm, where or {})
        return found

    def _planned(self, arm: str, where: Mapping[str, Any]) -> list[Member]:
        return [
            member
            for member in self._sweep.members
            if member.arm == arm and all(member.settings.get(k) == v for k, v in where.items())
        ]

    def _twins(self, quantity: Quantity) -> dict[Twin, list[Member]]:
        """Return the runs of a quantity, by base and seed, where all are finished."""
        planned = self._planned(quantity.arm, quantity.where)
        found: dict[Twin, list[Member]] = {}
        for member in planned:
            found.setdefault((_base_asked(member), member.settings.get("seed")), []).append(member)
        whole = {twin: runs for twin, runs in found.items() if all(run.finished for run in runs)}
        if not whole:
            raise _lacking(planned, quantity.arm, quantity.where)
        return whole

    def _compared(
        self, quantities: Quantities, beside: Sequence[Quantity]
    ) -> dict[str, list[Cell]]:
        """Return, by replicate, each quantity with its runs, for the twins that all have."""
        own, others = ([self._twins(one) for one in some] for some in (quantities, beside))
        common = [twin for twin in own[0] if all(twin in of for of in (*own, *others))]
        if not common:
            raise NotMeasured(f"no {self.replicate} has finished of all that is compared")
        found: dict[str, list[Cell]] = {}
        for twin in common:
            name = self._replicate_of(own[0][twin][0])
            cells = ((one, of[twin]) for one, of in zip(quantities, own, strict=True))
            found.setdefault(name, []).extend(cells)
        return found

    def _replicate_of(self, member: Member) -> str:
        scenario = member.run.scenario
        return str(scenario["model"] if self.replicate == "base" else scenario["seed"])

    def by_replicate(
        self, quantities: Quantities, beside: Sequence[Quantity] = ()
    ) -> dict[str, float]:
        """Return the value of a quantity on each replicate, or the mean of several's.

        Args:
            quantities: one or several.
            beside: the quantities of the comparison; runs without a twin there are left out.

        Raises:
            NotMeasured: it is missing in some run.
        """
        return {
            name: float(np.mean([self._value(runs, one) for one, runs in cells]))
            for name, cells in self._compared(quantities, beside).items()
        }

    def checkpoints(self, arm: str, measure: Measure, ends: bool) -> dict[str, list[float]]:
        """Return, by replicate, a metric after every measured round of an arm's runs, run by run.

        Args:
            arm: the arm.
            measure: the metric.
            ends: whether to use only round 0 and the last rounds of phases.
        """
        found: dict[str, list[float]] = {}
        for name, members in self.runs(arm).items():
            for member in members:
                for number in _rounds(member.run, ends):
                    value = self._mean(member, measure, number)
                    found.setdefault(name, []).append(value)
        return found

    def by_unit(
        self, quantities: Quantities, unit: Unit, beside: Sequence[Quantity] = ()
    ) -> dict[str, ByUnit]:
        """Return, by replicate, the value of each item or cluster, over the replicate's runs."""
        found = {}
        for name, cells in self._compared(quantities, beside).items():
            tables = [_units_at(member.run, one, unit) for one, runs in cells for member in runs]
            found[name] = pd.concat(tables).groupby(level=0).mean()
        return found

    def paired(self, a: Quantities, b: Quantities | None, unit: Unit) -> list[np.ndarray]:
        """Return, per replicate, the differences of a and b on the units that both have."""
        first = self.by_unit(a, unit, b or ())
        second = self.by_unit(b, unit, a) if b else {name: 0.0 * v for name, v in first.items()}
        pairs = [(first[name] - second[name]).dropna() for name in first if name in second]
        return [pair.to_numpy(float) for pair in pairs if len(pair)]

    def gaps(self, a: Quantities, b: Quantities | None) -> dict[str, float]:
        """Return a − b on each replicate.

        Raises:
            NotMeasured: one of them is missing.
        """
        first = self.by_replicate(a, b or ())
        second = self.by_replicate(b, a) if b else dict.fromkeys(first, 0.0)
        return {name: first[name] - second[name] for name in first}

    def difference(self, a: Quantities, b: Quantities | None) -> Interval:
        """Return a − b by replicate, with its 95 % interval over replicates.

        With one replicate the interval is over clusters of questions, as in probes; NaN with fewer
        than two clusters in both. The same holds where replicates agree to the last digit. Shares
        of few questions may do so by chance, which doesn't show how far other replicates differ.

        Raises:
            NotMeasured: one of them is missing.
        """
        found = statistics.over_bases([*self.gaps(a, b).values()])
        if found.high - found.low > statistics.ROUNDING:
            return found
        groups = self.paired(a, b, "cluster")
        asked = np.concatenate(groups) if groups else np.array([])
        if len(asked) < 2:
            return found._replace(low=np.nan, high=np.nan)
        same = abs(found.value) < statistics.ROUNDING and not asked.any()
        if found.units > 1 and same:  # on every replicate, for all questions
            return found
        return _over_asked(a[0].metric, found.value, asked)

    def _value(self, runs: Sequence[Member], quantity: Quantity) -> float:
        values = [self._mean(run, quantity, _round(run.run, quantity)) for run in runs]
        if quantity.from_start:
            starts = [self._mean(run, quantity, baseline_round(run.run)) for run in runs]
            values = [value - start for value, start in zip(values, starts, strict=True)]
        return float(np.mean(values))

    def _mean(self, member: Member, measure: Measure, number: int) -> float:
        found = self._outcomes(member.run, number)
        values = [found.get((measure.metric, one), np.nan) for one in measure.item_sets]
        if np.isnan(values).any():
            of = "".join(f" {one}" for one in measure.item_sets if one)
            raise NotMeasured(
                f"{measure.metric}{of} has no value after round {number} of {member.run.path.name}"
            )
        return float(np.mean(values))


def metrics_of(scenario: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Return the metrics of a run of this scenario, with their item sets.

    Item sets of users' data aren't known beforehand, so those metrics have none.

    Args:
        scenario: as `Run.scenario` has it.
    """
    found: dict[str, frozenset[str]] = {}
    for probe in _probes(scenario).values():
        for metric, sets in estimated_by(probe).items():
            sets = frozenset() if probe.data_sources else sets
            found[metric] = found.get(metric, frozenset()) | sets
    types = scenario["population"]["types"]
    of_types = [f"{what}_{name}" for what in experiment.OF_USERS for name in types]
    of_users = (*experiment.OF_USERS, *of_types)
    of_several = [metric.name for metric in OF_SEVERAL]
    derived = [*of_several, experiment.OVERCLAIM, experiment.CONVERSATION_GAP, *of_users]
    if scenario.get("screening"):
        derived += [f"screening_{share}" for share in experiment.SCREENED]
    return {**dict.fromkeys(derived, frozenset({""})), **found}


def _probes(scenario: Mapping[str, Any], file: Path | None = None) -> Mapping[str, Probe]:
    """Return a scenario's probes; the file names it in an error."""
    try:
        return _PROBES.validate_python(scenario["measure"]["probes"])
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = shortened(".".join(map(str, ("measure", "probes", *wrong["loc"]))))
        where = file or f"the scenario '{scenario['name']}'"
        raise StoreError(f"{where}: {place}: {wrong['msg']}") from None


def _over_asked(metric: str, value: float, asked: np.ndarray) -> Interval:
    """Return the interval of a difference over clusters of questions, (clusters,)."""
    of_shares = metrics.unit(metric).of_shares and np.abs(asked).max() <= 1
    bounds = DIFFERENCE if of_shares else UNBOUNDED  # a gap is a difference itself
    over = estimate("", "", asked, np.arange(len(asked)), bounds)
    shift = value - over.value  # clusters may have different numbers of questions
    return Interval(value, over.low + shift, over.high + shift, over.n)


def _base_asked(member: Member) -> Any:
    """Return the base or the model of a run's plan, if it sets one."""
    return member.settings.get("base", member.settings.get("model"))


def _lacking(planned: Sequence[Member], arm: str, where: Mapping[str, Any]) -> NotMeasured:
    lacking = "no finished run" if planned else "no run in this tier"
    return NotMeasured(f"there is {lacking} of {_described(arm, where)}")


def _described(arm: str, where: Mapping[str, Any]) -> str:
    """Return a description of runs."""
    return ", ".join([f"'{arm}'", *(f"{key.split('.')[-1]} {where[key]}" for key in where)])


def _outcomes(run: Run, number: int) -> dict[tuple[str, str], float]:
    return {(metric, s): value for metric, s, value in experiment.outcomes_at(run, number)}


def _round(run: Run, quantity: Quantity) -> int:
    """Return the round of a quantity."""
    course = spans(run)
    if quantity.phase is not None:
        ends = [span.last for span in course if span.name == quantity.phase]
        if len(ends) != 1:
            raise NotMeasured(f"no one phase of {run.path.name} is called '{quantity.phase}'")
        return ends[0]
    last = course[-1].last
    if quantity.round is not None and quantity.round > last:
        raise NotMeasured(f"{run.path.name} has {last} rounds, not {quantity.round}")
    return last if quantity.round is None else quantity.round


def _rounds(run: Run, ends: bool) -> Sequence[int]:
    return [0, *(span.last for span in spans(run))] if ends else frames.measured_rounds(run)


def _units_at(run: Run, quantity: Quantity, unit: Unit) -> ByUnit:
    """Return the quantity's value for each item or cluster."""
    values = _units(run, _round(run, quantity), quantity, unit)
    if quantity.from_start:
        values = values - _units(run, 0, quantity, unit)
    return values.dropna()


def _units(run: Run, number: int, measure: Measure, unit: Unit) -> ByUnit:
    """Return the metric's value for each item or cluster."""
    for name, probe in _probes(run.scenario, run.scenario_file).items():
        if measure.metric in estimated_by(probe):
            rows, first = (_rows(run, n, name) for n in (number, 0))
            return _units_of(probe, rows, first, measure, unit)
    return pd.Series(dtype=float)  # a metric of several probes


def _units_of(probe: Probe, rows: Rows, first: Rows, measure: Measure, unit: Unit) -> ByUnit:
    of = getattr(rows, unit)
    values: dict[str, float] = {}
    for name in dict.fromkeys(of):
        found = list(probe.estimates(rows.where(of == name), first))
        own = [lookup(found, measure.metric, one) for one in measure.item_sets]
        values[name] = _mean([one.value for one in own if one])
    return pd.Series(values, dtype=float).dropna()


def _rows(run: Run, number: int, probe: str) -> Rows:
    scores = run.table(number, "scores")
    return Rows.of(scores[(scores["probe"] == probe).to_numpy(bool)])


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
