"""Check a study's findings against its scenarios: arms, axes, phases, rounds and metrics."""

from collections.abc import Iterator, Mapping, Sequence

from analysis.studies.findings import Finding
from analysis.studies.quantities import Quantity, metrics_of
from simulator.config.document import Document, YamlPath
from simulator.config.scenario import Scenario
from simulator.config.validation import refusal, yaml_path
from simulator.core.errors import ScenarioError, unknown
from simulator.experiments.sweep_config import scenario_of
from simulator.studies.config import StudyConfig


class _Scenarios:
    """The scenarios of a study's runs, each read on first use."""

    def __init__(self, config: StudyConfig, document: Document, overrides: Sequence[str]) -> None:
        self.mistakes: dict[str, None] = {}
        self._config, self._document, self._overrides = config, document, overrides
        self._read: dict[str, Scenario | None] = {}

    def get(self, quantity: Quantity) -> Scenario | None:
        """Return the first scenario of a quantity; None where it has mistakes."""
        config, arm = self._config, quantity.arm
        axes = {**config.over, **config.arms[arm].over}
        settings = {key: quantity.where.get(key, values[0]) for key, values in axes.items()}
        key = f"{arm} {settings}"
        if key not in self._read:
            try:
                located = scenario_of(config, self._document, arm, settings, self._overrides)
                self._read[key] = located.scenario
            except ScenarioError as error:
                self._read[key] = None
                self.mistakes |= dict.fromkeys(error.mistakes)
        return self._read[key]


def mistakes_in_findings(
    config: StudyConfig,
    document: Document,
    source: str,
    overrides: Sequence[str],
    lost: frozenset[str],
) -> tuple[str, ...]:
    """Return the mistakes in findings: missing arms, axes, rounds or metrics, with lines.

    Args:
        config: the full study.
        document: where it was read.
        source: its name.
        overrides: `path.to.key=value`, laid over every run.
        lost: metrics that can't be measured; findings about them are left out.
    """
    scenarios = _Scenarios(config, document, overrides)
    measured: dict[int, dict[str, frozenset[str]]] = {}

    def problem_of(quantity: Quantity) -> tuple[str, str] | None:
        if problem := _of_axes(config, quantity):
            return problem
        if (scenario := scenarios.get(quantity)) is None:
            return None
        if id(scenario) not in measured:
            measured[id(scenario)] = metrics_of(scenario.model_dump(mode="json"))
        return _of_phases(scenario, quantity) or _of_metric(measured[id(scenario)], quantity)

    found = [
        (yaml_path((*place, problem[0]), document.data), problem[1])
        for place, quantity in _asked(config, lost)
        if (problem := problem_of(quantity))
    ]
    return (*refusal(found, document, source).mistakes, *scenarios.mistakes)


def _asked(config: StudyConfig, lost: frozenset[str]) -> Iterator[tuple[YamlPath, Quantity]]:
    """Yield the quantities of a study, with their paths in its file."""
    for number, finding in enumerate(config.findings):
        if not lost & metrics_in(finding):
            for place, quantity in finding.quantities():
                yield ("findings", number, *place), quantity
    if config.recommendation:
        for place, quantity in config.recommendation.quantities():
            yield ("recommendation", *place), quantity


def _of_axes(config: StudyConfig, quantity: Quantity) -> tuple[str, str] | None:
    """Return a key with an unknown arm, axis or value, and the message."""
    if quantity.arm not in config.arms:
        return "arm", unknown("arm", quantity.arm, config.arms)
    axes = {**config.over, **config.arms[quantity.arm].over}
    for key, value in quantity.where.items():
        if key not in axes:
            return "where", f"arm '{quantity.arm}': {unknown('axis', key, axes)}"
        if value not in axes[key]:
            return (
                "where",
                f"arm '{quantity.arm}', axis '{key}': {unknown('value', value, axes[key])}",
            )
    return None


def _of_phases(scenario: Scenario, quantity: Quantity) -> tuple[str, str] | None:
    """Return a key with an unknown or unmeasured phase or round, and the message."""
    names = [phase.name for phase in scenario.phases]
    if quantity.phase is not None and quantity.round is not None:
        return "round", "give a phase or a round, not both"
    if quantity.phase is not None and names.count(quantity.phase) != 1:
        if quantity.phase in names:
            return "phase", f"ambiguous phase '{quantity.phase}'; several phases have this name"
        return "phase", unknown("phase", quantity.phase, names)
    if quantity.round is not None and quantity.round not in scenario.measured_rounds:
        measured = ", ".join(map(str, scenario.measured_rounds))
        return "round", f"round {quantity.round} isn't measured; available: {measured}"
    return None


def _of_metric(metrics: Mapping[str, frozenset[str]], quantity: Quantity) -> tuple[str, str] | None:
    """Return a key with an unknown metric or item set, and the message."""
    if quantity.metric not in metrics:
        return "metric", unknown("metric", quantity.metric, metrics)
    known = metrics[quantity.metric]
    for name in quantity.item_sets:
        if known and name not in known:
            return "item_set", f"'{quantity.metric}': {unknown('item set', name, sorted(known))}"
    return None


def metrics_in(finding: Finding) -> frozenset[str]:
    """Return the metrics of a finding."""
    return frozenset(quantity.metric for _, quantity in finding.quantities())
