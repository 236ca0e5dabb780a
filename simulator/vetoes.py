"""Vetoes: monitors look at the replies to follow, before anything is learned from them."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from agents.kinds import AnyMonitor
from simulator.cast import Cast
from simulator.selection import Decision
from simulator.types import Message, joined


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


def examine(
    cast: Cast, monitors: Mapping[str, AnyMonitor], candidates: pd.DataFrame, decision: Decision
) -> tuple[Decision, pd.DataFrame]:
    """Asks every monitor about every reply to follow.

    Returns:
        The decision with the vetoed replies dropped or made examples to avoid, as their monitor
        says (dropping wins), and one row per monitor and reply; see `Veto`.
    """
    label, reason = decision.label.copy(), decision.reason.astype(object)
    rows: list[Veto] = []
    chosen = np.flatnonzero(label == 1)
    chats = [_chat(candidates.iloc[n]) for n in chosen]
    found = cast.ask(joined(m.examine(chat) for chat in chats) for m in monitors.values())
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


def _chat(row: "pd.Series[str]") -> list[Message]:
    messages = [Message(*pair) for pair in json.loads(row["messages"])]
    return [*messages, Message("assistant", row["reply"])]
