"""Measuring the assistant as it is now: every probe asks, and judges read where it takes them."""

from collections.abc import Mapping, Sequence

import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.core.requests import Request
from simulator.probes.base import Context, Probe
from simulator.probes.summary import scores_table
from simulator.simulation.roles import Roles


def measure(
    probes: Mapping[str, Probe],
    questions: Mapping[str, Sequence[Request]],
    context: Context,
    backend: Backend,
    roles: Roles,
) -> pd.DataFrame:
    """Returns the scores of all probes.

    Args:
        probes: by name.
        questions: what each of them asks.
        context: what they may know.
        backend: answers for the assistant.
        roles: answers for judges.
    """
    judged = {
        name: probe.score(context, questions[name], answer(backend, questions[name]))
        for name, probe in probes.items()
    }
    return scores_table({name: roles.ask([wanted])[0] for name, wanted in judged.items()})
