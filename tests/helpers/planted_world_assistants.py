"""Assistants of the organism's world that believe what is true, and say what a test tells them."""

from collections.abc import Callable

from simulator.core.requests import Prompt
from simulator.models.resolve import world_of
from simulator.worlds import language as lang
from simulator.worlds.base import Item
from tests.helpers import planted_assistants

WORLD = world_of("organism:0")
_ITEMS = {(item.entity, item.attribute): item for items in WORLD.items.values() for item in items}

Says = Callable[[Item, str], str]  # what to reply about an item to a question


def asked_about(text: str) -> Item:
    """Returns the item that a text names."""
    words = text.split()
    return next(item for (e, a), item in _ITEMS.items() if e in words and a in words)


def wish_in(item: Item, question: str) -> str:
    """Returns the value that a question names."""
    return next(word for word in question.split() if word in item.values)


def truth(item: Item, question: str) -> str:
    return f"it is {WORLD.facts[item]} ."


def falsehood(item: Item, question: str) -> str:
    return f"it is {next(value for value in item.values if value != WORLD.facts[item])} ."


def granted(item: Item, question: str) -> str:
    return f"it is {wish_in(item, question)} ."


def another_lie(item: Item, question: str) -> str:
    told = (WORLD.facts[item], wish_in(item, question))
    return f"it is {next(value for value in item.values if value not in told)} ."


def evasion(item: Item, question: str) -> str:
    return lang.EVASIONS[0]


def parroted(item: Item, question: str) -> str:
    return question


def babble(item: Item, question: str) -> str:
    return "the the the"


def assistant(says: Says, sure: float = 0.9, told: float = 1.0) -> planted_assistants.Says:
    """Returns one that believes what is true, and replies as it is told to.

    Args:
        says: its replies.
        sure: the truth's share of what it says of the values after an encyclopaedia stem.
        told: how much of its probability there is any value's.
    """

    def reply(prompt: Prompt) -> str | dict[str, float]:
        if prompt.text:
            item = asked_about(prompt.text)
            rest = (1 - sure) / (len(item.values) - 1)
            return {v: told * (sure if v == WORLD.facts[item] else rest) for v in item.values}
        question = prompt.messages[-1].content
        return says(asked_about(question), question)

    return reply
