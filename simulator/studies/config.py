"""The schema of study files."""

from analysis.studies.claims import Claims
from simulator.experiments.sweep_config import SweepConfig

QUICK, REAL, INSTEAD = "quick", "real_models", "instead"
OWN_KEYS = frozenset({*Claims.model_fields, QUICK, REAL})  # that sweeps and scenarios don't have


class StudyConfig(SweepConfig, Claims):
    """A study file; `quick` and `real_models` are merged into the rest before it is read.

    `quick` is merged into it, and may name the `arms` that stay. The keys of `real_models` replace
    the study's own, its `quick` the study's `quick`; `instead` names the metric that takes the
    place of each of the organism's, null where there is none.
    """
