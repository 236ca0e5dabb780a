"""Opening the engines of a run's roles."""

import contextlib
from typing import TYPE_CHECKING

from simulator.backends.base import Backend
from simulator.backends.factory import open_backend
from simulator.backends.ledger import Ledger
from simulator.core.timing import Stopwatch
from simulator.simulation.answer_cache import AnswerCache
from simulator.simulation.config import ASSISTANT
from simulator.simulation.roles import RoleClient, Roles, assistant_client
from simulator.store.run import Run

if TYPE_CHECKING:
    from simulator.config.scenario import Scenario


JUDGEMENTS = "judgements.sqlite"  # in the run directory


CACHED = ("monitor", "judge")  # roles whose answers can be cached


def open_roles(
    scenario: "Scenario",
    run: Run,
    assistant: Backend,
    stopwatch: Stopwatch,
    ledger: Ledger | None = None,
) -> Roles:
    """Open an engine for each model that the scenario's roles need.

    Args:
        scenario: names the roles in use and their models.
        run: gets the servers' logs and the judgements.
        assistant: plays the roles without a model of their own, without an adapter.
        stopwatch: gets the time spent inside the models, and the progress.
        ledger: gets the answers of endpoints, and their costs.
    """
    engines: dict[str, Backend] = {}  # by their settings
    clients: dict[str, RoleClient] = {}
    with contextlib.ExitStack() as opened:  # stop running servers if another one fails to start
        for role in sorted(scenario.asked_roles):
            if role == ASSISTANT:
                clients[role] = assistant_client(scenario.model, assistant)
                continue
            config = scenario.roles.get(role)
            cache = AnswerCache(run.path / JUDGEMENTS) if role in CACHED else None
            if config is None:
                clients[role] = RoleClient(scenario.model, assistant, bare=True, cache=cache)
                continue
            settings = config.model_dump_json()
            if settings not in engines:
                log = run.path / f"server-{role}.log"
                model = scenario.role_ref(config)
                engine = open_backend(config.backend, model, stopwatch, log=log, ledger=ledger)
                engines[settings] = opened.enter_context(contextlib.closing(engine))
            name = f"{config.model} on {config.backend.kind}"
            clients[role] = RoleClient(name, engines[settings], bare=False, cache=cache)
        opened.pop_all()
    return Roles(clients, list(engines.values()), stopwatch.progress)
