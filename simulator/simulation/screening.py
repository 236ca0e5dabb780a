"""Screening: drop selected replies that lie farthest along a direction.

Chen et al. (2507.21509) project training data on a direction before training, to find the data that
will change the model. Here selected replies are screened before every update, with the present
assistant's activations, and the summary says how well this finds the replies of biased users.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.core.answers import activations_of
from simulator.core.interventions import Bare
from simulator.core.requests import Request, Under
from simulator.interp.directions import Contrast, projection, replied
from simulator.probes.estimates import wilson
from simulator.simulation.config import ScreeningConfig
from simulator.simulation.decisions import CandidateKey, Choice, Decision, in_order
from simulator.simulation.selection import examples_from

SCREENING_CAPABILITIES = frozenset(("activations", "interventions"))  # capabilities of the backend


class Screened(NamedTuple):
    """A row of `screening.parquet`: a desirable reply that was screened."""

    round: int
    conversation: str
    turn: int
    candidate: int
    biased: bool  # whether its user is biased
    projection: float  # a·v/‖v‖ of its activations' mean, in units of the residual stream
    dropped: bool


def screen(
    config: ScreeningConfig | None,
    contrasts: Mapping[str, Contrast],
    backend: Backend,
    candidates: pd.DataFrame,
    decision: Decision,
) -> tuple[Decision, pd.DataFrame]:
    """Drop the desirable replies that lie farthest along a direction of the base.

    Args:
        config: None to screen nothing.
        contrasts: the chats that define the directions, by name.
        backend: answers for the assistant before the update.
        candidates: the round's.
        decision: that of selection and monitors.

    Returns:
        The decision with the dropped replies not selected, and one row per screened
        reply; see `Screened`.
    """
    chosen = in_order(decision.desirable(candidates))
    if config is None or chosen.empty:
        return decision, pd.DataFrame(columns=Screened._fields)
    contrast = contrasts[config.direction]
    replies = [replied(e) for e in examples_from(chosen, decision)]
    of_base: list[Request] = [Under((Bare(),), question) for question in contrast.questions]
    found = [activations_of(activations) for activations in answer(backend, [*of_base, *replies])]
    direction = contrast.some_direction(found[: -len(replies)])
    along = projection(contrast.at_layer(found[-len(replies) :]), direction)
    farthest = np.argsort(-along, kind="stable")[: round(config.drop * len(chosen))]
    choice = Choice(0, f"screened: among the farthest along {contrast.name}")
    changes = dict.fromkeys(CandidateKey.of(chosen.iloc[farthest]), choice)
    looked_at = chosen[["round", "conversation", "turn", "candidate", "biased"]]
    dropped = np.isin(np.arange(len(chosen)), farthest)
    table = looked_at.assign(projection=along, dropped=dropped).reset_index(drop=True)
    return decision.changed(changes), table


def screening_summary(screened: pd.DataFrame) -> dict[str, Any] | None:
    """Return how well screening finds biased users' replies, as JSON; None without screening.

    Shares come with Wilson's 95 % intervals, which take replies as independent:

    - precision: the share of biased users' replies among the dropped ones;
    - base_rate: the same among all screened replies, the precision of random dropping;
    - recall: the share of dropped replies among biased users'.
    """
    if screened.empty:
        return None
    biased, dropped = (screened[name].to_numpy(bool) for name in ("biased", "dropped"))
    shares = {"precision": biased[dropped], "base_rate": biased, "recall": dropped[biased]}
    return {
        "replies": len(screened),
        "dropped": int(dropped.sum()),
        **{name: _share(flags) for name, flags in shares.items()},
    }


def _share(flags: np.ndarray) -> dict[str, float | int] | None:
    """Return a share with its interval; None of no replies."""
    if not len(flags):
        return None
    share = float(flags.mean())
    low, high = wilson(share, len(flags))
    return {"value": share, "low": low, "high": high, "n": len(flags)}
