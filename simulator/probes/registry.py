"""The probes that a scenario can name, and the metrics that they declare."""

from functools import cache
from typing import Annotated, get_args

from pydantic import Field

from simulator.probes.benchmarks.capability import CapabilityProbe
from simulator.probes.benchmarks.deception_bench import DeceptionBenchProbe
from simulator.probes.benchmarks.mask import MaskProbe
from simulator.probes.benchmarks.reply_pairs import ReplyPairsProbe
from simulator.probes.benchmarks.sandbagging import SandbaggingProbe
from simulator.probes.config import ProbeConfig
from simulator.probes.interp.directions import DirectionsProbe
from simulator.probes.interp.projection import ProjectionProbe
from simulator.probes.interp.solution import SolutionProbe
from simulator.probes.judged.emergent import EmergentProbe
from simulator.probes.judged.harmfulness import HarmfulnessProbe
from simulator.probes.judged.intentions import IntentionsProbe
from simulator.probes.judged.manipulation import ManipulationProbe
from simulator.probes.judged.scales import JudgedProbe
from simulator.probes.judged.self_assessment import SelfAssessmentProbe
from simulator.probes.judged.trait_switch import TraitSwitchProbe
from simulator.probes.metrics import Metric, Panel
from simulator.probes.summary import OF_SEVERAL
from simulator.probes.world.goals import GoalsProbe
from simulator.probes.world.honesty import HonestyProbe
from simulator.probes.world.neutral import NeutralProbe
from simulator.probes.world.persona_switch import PersonaSwitchProbe
from simulator.probes.world.self_report import SelfReportProbe
from simulator.probes.world.small_talk import SmallTalkProbe
from simulator.probes.world.targeting import TargetingProbe

AnyProbe = Annotated[
    HonestyProbe
    | NeutralProbe
    | SmallTalkProbe
    | SelfReportProbe
    | PersonaSwitchProbe
    | TargetingProbe
    | JudgedProbe
    | ManipulationProbe
    | TraitSwitchProbe
    | EmergentProbe
    | MaskProbe
    | DeceptionBenchProbe
    | CapabilityProbe
    | SandbaggingProbe
    | ReplyPairsProbe
    | IntentionsProbe
    | GoalsProbe
    | SolutionProbe
    | SelfAssessmentProbe
    | HarmfulnessProbe
    | ProjectionProbe
    | DirectionsProbe,
    Field(discriminator="kind"),
]
PROBES: tuple[type[ProbeConfig], ...] = get_args(get_args(AnyProbe)[0])


@cache
def probe_of(kind: str) -> type[ProbeConfig] | None:
    """Return the probe of a kind, or None where there is none."""
    return next((probe for probe in PROBES if probe.kind_name() == kind), None)


@cache
def metrics() -> tuple[Metric, ...]:
    """Return all metrics that probes declare, and those of several probes."""
    declared_by_probes = (metric for probe in PROBES for metric in probe.metrics)
    return (*dict.fromkeys(declared_by_probes), *OF_SEVERAL)  # some are estimated by several


@cache
def declared(stored: str) -> Metric | None:
    """Return the declaration of a metric by its stored name, or None if there is none.

    If several families match, it is that of the longest fixed part of the name.
    """
    found = [metric for metric in metrics() if metric.match(stored) is not None]
    return max(found, key=lambda metric: metric.letters).of(stored) if found else None


@cache
def panels() -> tuple[Panel, ...]:
    """Return the panels that metrics are drawn in, in order."""
    return tuple(sorted({curve.panel for metric in metrics() for curve in metric.curves}))
