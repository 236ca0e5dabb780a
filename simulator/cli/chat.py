"""Talking by hand with the assistant as it was after a round."""

import sys
from pathlib import Path

from rich.console import Console

from simulator.backends.base import Backend
from simulator.config.scenario import Scenario
from simulator.core.console import inert
from simulator.core.errors import BackendError
from simulator.core.requests import GenerationRequest, Message, Prompt
from simulator.evaluation.checkpoints import assistant_after


def talk(path: Path, round_number: int | None) -> None:
    """Reads lines from stdin and prints replies until an empty line or the end of input.

    Raises:
        StoreError: the run has no such round.
    """
    with assistant_after(path, round_number) as assistant:
        _converse(assistant.backend, assistant.scenario, assistant.round)


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
