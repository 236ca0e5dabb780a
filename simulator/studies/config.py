"""The schema of study files."""

from analysis.studies.claims import Claims
from simulator.experiments.sweep_config import SweepConfig

QUICK, REAL, FACTS, INSTEAD = "quick", "real_models", "facts", "instead"
# Keys that sweeps and scenarios don't have. `facts` isn't one: scenarios have it, too.
OWN_KEYS = frozenset({*Claims.model_fields, QUICK, REAL})


class StudyConfig(SweepConfig, Claims):
    """A study file; `quick`, `facts` and `real_models` are merged into the rest before it is read.

    `quick` is merged into it, and may name the `arms` that stay. `facts` is the form for pretrained
    models that are asked about facts, `real_models` the one for models with data and judges. Their
    keys replace the study's own, their `quick` the study's `quick`; `instead` names the metric that
    takes the place of each of the organism's, null where there is none. A study that sets its own
    `model` needs neither.
    """
