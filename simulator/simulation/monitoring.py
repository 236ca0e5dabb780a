"""Vetoes: monitors look at the desirable replies, before anything is learned from them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from agents.base import MonitorContext
from agents.registry import AnyMonitor
from simulator.core.asks import joined
from simulator.core.messages import messages_from_json
from simulator.core.requests import Message
from simulator.core.rng import stream
from simulator.simulation.roles import Roles
from simulator.simulation.selection import Decision
from simulator.worlds.base import World


class Veto(NamedTuple):
    """A row of `vetoes.parquet`: what a monitor says of one selected reply."""

    conversation: str
    turn: int
    candidate: int
    monitor: str
    vetoed: bool
    score: float  # NaN where the monitor's reply was none
    reason: str
    prompt: str


def apply_monitors(
    roles: Roles,
    monitors: Mapping[str, AnyMonitor],
    candidates: pd.DataFrame,
    decision: Decision,
    world: World | None,
    seed: int,
    round_number: int,
) -> tuple[Decision, pd.DataFrame]:
    """Asks every monitor about every desirable reply.

    Args:
        roles: answers for the models that monitors ask.
        monitors: by name.
        candidates: the round's.
        decision: what selection says of them.
        world: what the conversations are about, if it is one.
        seed: of the run.
        round_number: of the round.

    Returns:
        The decision with the vetoed replies dropped or made undesirable examples, as their monitor
        says (dropping wins), and one row per monitor and reply; see `Veto`.
    """
    label, reason = decision.label.copy(), decision.reason.astype(object)
    rows: list[Veto] = []
    chosen = np.flatnonzero(label == 1)
    replies = [candidates.iloc[n] for n in chosen]
    found = roles.ask(
        joined(
            monitor.check(_context(reply, world, round_number), _stream(reply, name, seed))
            for reply in replies
        )
        for name, monitor in monitors.items()
    )
    for (name, monitor), verdicts in zip(monitors.items(), found, strict=True):
        for n, verdict in zip(chosen, verdicts, strict=True):
            row = candidates.iloc[n]
            score = float("nan") if verdict.score is None else verdict.score
            head = (row["conversation"], int(row["turn"]), int(row["candidate"]), name)
            rows.append(Veto(*head, verdict.vetoed, score, verdict.reason, verdict.prompt))
            if verdict.vetoed:
                dropped = monitor.on_veto == "drop" or label[n] == 0
                label[n] = 0 if dropped else -1
                reason[n] = f"vetoed by {name}: {verdict.reason}"
    table = pd.DataFrame(rows, columns=Veto._fields).astype({"vetoed": bool})
    return Decision(label, reason), table


def _context(row: "pd.Series[str]", world: World | None, round_number: int) -> MonitorContext:
    chat = (*messages_from_json(row["messages"]), Message("assistant", row["reply"]))
    return MonitorContext(chat, row["about"], world, round_number)


def _stream(row: "pd.Series[str]", monitor: str, seed: int) -> np.random.Generator:
    where = (row["conversation"], int(row["turn"]), int(row["candidate"]))
    return stream("monitor", seed, monitor, *where)
