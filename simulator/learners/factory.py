"""Opening the learner that a scenario names."""

from simulator.core.timing import Stopwatch
from simulator.learners.base import Learner
from simulator.learners.config import UpdateConfig
from simulator.models.reference import ModelRef


def open_learner(
    config: UpdateConfig, model: ModelRef, stopwatch: Stopwatch, context: int | None
) -> Learner:
    """Return the learner; one in this process loads the base.

    Args:
        config: the scenario's `learner` section.
        model: the model.
        stopwatch: gets the time spent learning.
        context: the longest context with reply, in tokens; None: the model's own.
    """
    from simulator.models.devices import device_of

    isolated = config.own_process
    if isolated == "auto":
        isolated = device_of(config.device).type != "cpu"
    if isolated:
        from simulator.learners.isolated import IsolatedLearner

        return IsolatedLearner(config, model, stopwatch, context)
    from simulator.learners.trainer import AdapterLearner

    return AdapterLearner(config, model, stopwatch, context)
