"""Vetoes: monitors check the desirable replies before anything is learned from them."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from agents.base import MonitorContext
from agents.registry import AnyMonitor
from simulator.core.asks import joined
from simulator.core.messages import messages_from_rows
from simulator.core.requests import Message
from simulator.core.rng import stream
from simulator.simulation.decisions import CandidateKey, Choice, Decision
from simulator.simulation.roles import Roles
from simulator.worlds.base import World


class Veto(NamedTuple):
    """A row of `vetoes.parquet`: a monitor's verdict on one selected reply."""

    round: int
    conversation: str
    turn: int
    candidate: int
    monitor: str
    vetoed: bool
    score: float  # NaN where the monitor's reply is unreadable
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
    """Ask every monitor about every desirable reply.

    Args:
        roles: answers for the models that monitors ask.
        monitors: by name.
        candidates: the round's.
        decision: the selection's.
        world: the world of the conversations, if there is one.
        seed: of the run.
        round_number: of the round.

    Returns:
        The decision with the vetoed replies dropped or made undesirable examples, as the monitor
        is set (dropping wins), and one row per monitor and reply; see `Veto`.
    """
    rows: list[Veto] = []
    changes: dict[CandidateKey, Choice] = {}
    desirable = decision.desirable(candidates)
    keys, replies = CandidateKey.of(desirable), desirable.to_dict("records")
    found = roles.ask(
        joined(
            monitor.check(_context(reply, world, round_number), stream("monitor", seed, name, *key))
            for key, reply in zip(keys, replies, strict=True)
        )
        for name, monitor in monitors.items()
    )
    for (name, monitor), verdicts in zip(monitors.items(), found, strict=True):
        for key, verdict in zip(keys, verdicts, strict=True):
            score = float("nan") if verdict.score is None else verdict.score
            head = (round_number, *key, name, verdict.vetoed, score)
            rows.append(Veto(*head, verdict.reason, verdict.prompt))
            if verdict.vetoed:
                dropped = monitor.on_veto == "drop" or (key in changes and not changes[key].label)
                why = f"vetoed by {name}: {verdict.reason}"
                changes[key] = Choice(0 if dropped else -1, why)
    table = pd.DataFrame(rows, columns=Veto._fields).astype({"vetoed": bool})
    return decision.changed(changes), table


def _context(row: Mapping[Hashable, Any], world: World | None, round_number: int) -> MonitorContext:
    chat = (*messages_from_rows(row["messages"]), Message("assistant", row["reply"]))
    return MonitorContext(chat, row["about"], world, round_number)
