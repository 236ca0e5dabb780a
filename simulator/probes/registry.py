"""The probes that a scenario can name."""

from typing import Annotated

from pydantic import Field

from simulator.probes.benchmarks.capability import CapabilityProbe
from simulator.probes.benchmarks.deception_bench import DeceptionBenchProbe
from simulator.probes.benchmarks.mask import MaskProbe
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
    | IntentionsProbe
    | GoalsProbe
    | SolutionProbe
    | SelfAssessmentProbe
    | HarmfulnessProbe
    | ProjectionProbe
    | DirectionsProbe,
    Field(discriminator="kind"),
]
