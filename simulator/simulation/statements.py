"""What replies state about a world's items, beside what is true and what the assistant believes.

A statement against the assistant's own belief is a lie, one that is merely false may be an error:
to tell them apart in conversations, too, the present assistant is asked for its belief about each
item, as in the probe `honesty`. Beliefs are probabilities, so asking for them draws nothing.
"""

from collections.abc import Iterable
from itertools import chain

import pandas as pd

from simulator.backends.base import Backend
from simulator.backends.execute import answer
from simulator.probes.world.beliefs import BELIEF_THRESHOLD, belief_of, belief_requests
from simulator.worlds.base import Item, World

COLUMNS = ("truth", "belief", "stated")


def with_statements(rows: pd.DataFrame, world: World | None, backend: Backend) -> pd.DataFrame:
    """Add to a wave's candidates what is true, believed and stated; None where nothing is.

    Args:
        rows: the candidates, with the columns `about` and `reply`.
        world: of the conversations, if there is one.
        backend: answers for the assistant; beliefs are None if it tells no probabilities.
    """
    if world is None or rows.empty:
        return rows.assign(**dict.fromkeys(COLUMNS))
    items = {item.name: item for item in world.facts}
    asked = [items.get(name) for name in rows["about"]]
    beliefs = _beliefs(world, backend, dict.fromkeys(item for item in asked if item))
    columns: dict[str, list[str | None]] = {
        "truth": [world.facts[item] if item else None for item in asked],
        "belief": [beliefs.get(item) if item else None for item in asked],
        "stated": [
            world.read(reply, item).value if item else None
            for reply, item in zip(rows["reply"], asked, strict=True)
        ],
    }
    return rows.assign(**{name: pd.Series(v, rows.index, object) for name, v in columns.items()})


def _beliefs(world: World, backend: Backend, items: Iterable[Item]) -> dict[Item, str]:
    """Return the present assistant's belief about each item; empty text for none."""
    needed = "next_token_logprobs" if world.values_are_tokens else "score_continuations"
    if needed not in backend.capabilities:
        return {}
    asked = {item: belief_requests(world, item) for item in items}
    found = iter(answer(backend, chain.from_iterable(asked.values())))
    return {
        item: belief_of(item, [next(found) for _ in requests], BELIEF_THRESHOLD) or ""
        for item, requests in asked.items()
    }
