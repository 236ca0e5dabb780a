"""Measuring the present assistant by all probes, with judges where they are needed."""

from collections.abc import Mapping

import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.probes.base import Context, Probe
from simulator.probes.summary import scores_table
from simulator.simulation.roles import Roles


def measure(
    probes: Mapping[str, Probe],
    context: Context,
    backend: Backend,
    roles: Roles,
    adapter: str | None = None,
) -> pd.DataFrame:
    """Return the scores of all probes.

    Args:
        probes: by name.
        context: their context, including the round.
        backend: answers for the assistant.
        roles: answers for judges.
        adapter: the name of the adapter that the backend serves; None for the base.
    """
    judged = {}
    for name, probe in probes.items():
        asked = probe.requests(context)
        judged[name] = probe.score(context, asked, answer(backend, asked))
    scores = {name: roles.ask([wanted])[0] for name, wanted in judged.items()}
    return scores_table(scores, context.round, adapter)
