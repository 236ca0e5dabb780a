"""Talking by hand with the assistant as it was after a round."""

import contextlib
import sys
from pathlib import Path

from rich.console import Console

from simulator import models
from simulator.backends.base import Backend, open_backend
from simulator.console import inert
from simulator.errors import BackendError, StoreError
from simulator.scenario import Scenario, load
from simulator.stopwatch import Stopwatch
from simulator.store import Run
from simulator.types import GenerationRequest, Message, Prompt


def talk(path: Path, round_number: int | None) -> None:
    """Reads lines from stdin and prints replies until an empty line or the end of input.

    Raises:
        StoreError: the run has no such round.
    """
    run = Run.open(path)
    last = run.rounds_done - 1
    number = last if round_number is None else round_number
    if not 0 <= number <= last:
        raise StoreError(f"{path}: has rounds 0 to {last}, not {number}")
    scenario = load(str(run.scenario_file))
    model, log = models.resolve(scenario.model), run.path / "server.log"
    with contextlib.closing(open_backend(scenario.backend, model, Stopwatch(), log=log)) as backend:
        backend.load(run.adapter(number))
        _converse(backend, scenario, number)


def _converse(backend: Backend, scenario: Scenario, number: int) -> None:
    console, talks = Console(), scenario.conversations
    console.print(f"After round {number}. An empty line ends the chat.")
    messages = [Message("system", talks.system)] if talks.system else []
    while line := _read_line(console):
        asked = [*messages, Message("user", line)]
        key = ("chat", scenario.seed, number, len(asked))
        request = GenerationRequest(
            Prompt(tuple(asked)), (key,), talks.max_new_tokens, talks.temperature
        )
        try:
            (generation,) = backend.generate([request])
        except BackendError as error:
            console.print(inert(str(error)), style="yellow")
            continue
        reply = generation.completions[0].text
        console.print(inert(f"assistant: {reply}"))
        messages = [*asked, Message("assistant", reply)]


def _read_line(console: Console) -> str:
    if sys.stdin.isatty():
        console.print("you: ", end="")
    return sys.stdin.readline().strip()
