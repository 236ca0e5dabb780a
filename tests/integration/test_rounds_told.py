"""Policies, raters, monitors and probes are told which round it is, in a run and when rescored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.world_monitors import FactCheckMonitor
from agents.world_raters import WorldRater
from agents.world_users import WorldUser
from simulator.config.loading import load
from simulator.evaluation.rescore import rescore
from simulator.experiments.run import start
from simulator.probes.world.neutral import NeutralProbe
from simulator.runtime.observers import Silent
from tests.conftest import TINY

SETTINGS = [*TINY, "monitors.facts={kind: fact_check}"]


class Told:
    """Which rounds each was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rounds: dict[str, list[int]] = {}
        for of, method, round_of in (
            (WorldUser, "next_turn", lambda context: context.conversation.round),
            (WorldRater, "rate", lambda context: context.conversation.round),
            (FactCheckMonitor, "check", lambda context: context.round),
            (NeutralProbe, "requests", lambda context: context.round),
            (NeutralProbe, "score", lambda context: context.round),
        ):
            monkeypatch.setattr(of, method, self._watched(getattr(of, method), method, round_of))

    def _watched(
        self, called: Callable[..., Any], name: str, round_of: Callable[[Any], int]
    ) -> Callable[..., Any]:
        def watched(self_: Any, context: Any, *rest: Any) -> Any:
            rounds = self.rounds.setdefault(name, [])
            if round_of(context) not in rounds:
                rounds.append(round_of(context))
            return called(self_, context, *rest)

        return watched


def test_everybody_is_told_the_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(monkeypatch)
    run = start(load(overrides=SETTINGS, biased_frac=0.5), tmp_path / "run", Silent())
    asked = {name: [1, 2] for name in ("next_turn", "rate", "check")}
    assert told.rounds == {**asked, "requests": [0, 1, 2], "score": [0, 1, 2]}
    told.rounds.clear()
    rescore(run.path, ["neutral"], ["items_per_set=3"])
    assert told.rounds == {"requests": [0, 1, 2], "score": [0, 1, 2]}
