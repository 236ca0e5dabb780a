"""The probes that a scenario can name."""

from typing import Annotated

from pydantic import Field

from analysis.probes.capability import CapabilityProbe
from analysis.probes.deception_bench import DeceptionBenchProbe
from analysis.probes.directions import DirectionsProbe
from analysis.probes.emergent import EmergentProbe
from analysis.probes.goals import GoalsProbe
from analysis.probes.harmfulness import HarmfulnessProbe
from analysis.probes.honesty import HonestyProbe
from analysis.probes.intentions import IntentionsProbe
from analysis.probes.judged import JudgedProbe
from analysis.probes.manipulation import ManipulationProbe
from analysis.probes.mask import MaskProbe
from analysis.probes.misalignment import SmallTalkProbe
from analysis.probes.neutral import NeutralProbe
from analysis.probes.persona_switch import PersonaSwitchProbe
from analysis.probes.projection import ProjectionProbe
from analysis.probes.self_assessment import SelfAssessmentProbe
from analysis.probes.self_report import SelfReportProbe
from analysis.probes.solution import SolutionProbe
from analysis.probes.targeting import TargetingProbe
from analysis.probes.trait_switch import TraitSwitchProbe

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
