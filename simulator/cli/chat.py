"""The command `chat`: a chat with the assistant after a round."""

import sys
from typing import TYPE_CHECKING

from simulator.cli.options import Round, RunPath, notify

if TYPE_CHECKING:
    from rich.console import Console

    from simulator.backends.base import Backend
    from simulator.config.scenario import Scenario


def chat(path: RunPath, round_number: Round = None) -> None:
    """Chat with the assistant after a round; an empty line ends the chat."""
    from simulator.evaluation.checkpoints import assistant_after

    with assistant_after(path, round_number) as assistant:
        _converse(assistant.backend, assistant.scenario, assistant.round)


def _converse(backend: "Backend", scenario: "Scenario", number: int) -> None:
    """Read lines from stdin and print replies until an empty line or the end of input."""
    from simulator.core.console import InertConsole, inert
    from simulator.core.errors import BackendError
    from simulator.core.requests import GenerationRequest, Message, Prompt
    from simulator.core.terminal import shown

    console, config = InertConsole(), scenario.conversations
    console.soft_wrap = not console.is_terminal  # what is piped keeps its lines
    console.print(f"After round {number}. An empty line ends the chat.")
    messages = [Message("system", config.system)] if config.system else []
    while line := _read_line(console):
        asked = [*messages, Message("user", line)]
        key = ("chat", scenario.seed, number, len(asked))
        request = GenerationRequest(
            Prompt(tuple(asked)), (key,), config.max_new_tokens, config.temperature
        )
        try:
            (generation,) = backend.generate([request])
        except BackendError as error:
            notify(shown(error))
            continue
        reply = generation.completions[0].text
        console.print(inert(f"assistant: {reply}"))
        messages = [*asked, Message("assistant", reply)]


def _read_line(console: "Console") -> str:
    if sys.stdin.isatty():
        console.print("you: ", end="")
    return sys.stdin.readline().strip()
