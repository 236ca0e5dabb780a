"""Beliefs about a world's items, read where no character speaks: in plain text."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from simulator.core.answers import is_readable, shares_of
from simulator.core.config import Number
from simulator.core.requests import Answer, ChoicesRequest, NextTokenRequest, Prompt
from simulator.worlds.base import Item, World

Threshold = Annotated[
    Number,
    Field(ge=0, le=1, description="Share of the values' probability that counts as a belief."),
]
BELIEF_THRESHOLD = 0.5


def belief_requests(world: World, item: Item) -> list[NextTokenRequest | ChoicesRequest]:
    """Ask for the value in plain text, once after each stem."""
    prompts = [Prompt(text=stem) for stem in world.stems(item)]
    if world.values_are_tokens:
        return [NextTokenRequest(prompt, item.values) for prompt in prompts]
    choices = tuple(f" {value}" for value in item.values)
    return [ChoicesRequest(prompt, choices) for prompt in prompts]


def belief_of(item: Item, answers: Sequence[Answer], threshold: float) -> str | None:
    """Return the value that is believed after every stem, or None if there is none.

    One is believed after a stem if it has enough of the values' probability.
    """
    found = {_believed(item, answer, threshold) for answer in answers}
    return found.pop() if len(found) == 1 else None


def _believed(item: Item, answer: Answer, threshold: float) -> str | None:
    shares = shares_of(answer)
    best = int(shares.argmax())
    return item.values[best] if is_readable(answer) and shares[best] >= threshold else None
