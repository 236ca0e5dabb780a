"""Measuring the present assistant by all probes, with judges where they are needed."""

from collections.abc import Mapping
from itertools import chain

import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.core.progress import Progress, task_of
from simulator.probes.base import Context, Probe
from simulator.probes.summary import scores_table
from simulator.simulation.roles import Roles


def measure(
    probes: Mapping[str, Probe],
    context: Context,
    backend: Backend,
    roles: Roles,
    adapter: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the scores of all probes.

    Args:
        probes: by name.
        context: their context, including the round.
        backend: answers for the assistant.
        roles: answers for judges.
        adapter: the name of the adapter that the backend serves; None for the base.
        progress: counts the requests of all probes together.
    """
    judged = {}
    asked = {name: probe.requests(context) for name, probe in probes.items()}
    with (progress or Progress()).doing(task_of(chain.from_iterable(asked.values()))):
        for name, probe in probes.items():
            judged[name] = probe.score(context, asked[name], answer(backend, asked[name]))
    scores = {name: roles.ask([wanted])[0] for name, wanted in judged.items()}
    return scores_table(scores, context.round, adapter)
