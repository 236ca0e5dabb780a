"""Collapse: has an update left the assistant saying what nobody can read?

An update with a loss that is finite all along can still ruin a model. So the assistant replies to
a few of the contexts that it is to learn from, before an update and after it, and replies that
can't be read are counted: empty ones, loops, and noise. That a reply is cut off tells nothing:
where replies are long, many are.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simulator.backends.base import Backend
from simulator.core.examples import Example
from simulator.core.requests import ContinuationRequest, GenerationRequest, Prompt
from simulator.core.rng import stream
from simulator.simulation.config import ConversationConfig

ASKED = 16  # replies; fewer than seven could never tell a collapse from chance
CHANCE = 0.01  # that as many more would be unreadable if the update had done nothing
# Noise costs the bare model more bits than this. Prose costs it about one a byte, and words drawn
# blindly three; a surprising word alone is no noise.
BITS_PER_BYTE, BITS_TO_SPARE = 2.0, 8.0
SCORED = 160  # characters of a reply: a server is asked for every token of them
_LOOP = re.compile(r"(.{1,40}?)\1{3,}", re.DOTALL)


class Speech(NamedTuple):
    """How many replies to the same contexts can't be read."""

    asked: int
    before: int  # the update
    after: int
    collapsed: bool

    @property
    def words(self) -> str:
        """What happened, for people."""
        return (
            f"{self.after} of {self.asked} replies can't be read, {self.before} before it; "
            "lower learner.learning_rate"
        )


def contexts(
    examples: Sequence[Example], config: ConversationConfig, seed: int
) -> list[GenerationRequest]:
    """Ask for replies, as in conversations, to some of what is learned from.

    Where contexts are few, each is replied to again and again, unless that is always the same.
    """
    found = list(dict.fromkeys(example.messages for example in examples))
    drawn = stream("collapse contexts", seed).permutation(len(found))[:ASKED].tolist()
    times = -(-ASKED // len(drawn)) if drawn and config.temperature else 1
    again_and_again = [(again, i) for again in range(times) for i in drawn]
    return [
        GenerationRequest(
            Prompt(found[i]),
            (("collapse", seed, i, *([again] if again else [])),),
            config.max_new_tokens,
            config.temperature,
        )
        for again, i in again_and_again[:ASKED]
    ]


def unreadable(backend: Backend, requests: Sequence[GenerationRequest]) -> np.ndarray:
    """Return which of the assistant's replies nobody can read, (requests,), bool.

    Where a reasoning model was cut off before it replied, what it thought is read instead.
    """
    said = [answer.completions[0] for answer in backend.generate(requests)]
    replies = [one.text.strip() or one.thought.strip() for one in said]
    openings = [_opening(reply) for reply in replies]
    scored = [n for n, opening in enumerate(openings) if opening]
    with backend.without_adapter():
        nats = backend.score_continuations(
            [
                ContinuationRequest(requests[n].prompt._replace(thought=False), openings[n])
                for n in scored
            ]
        )
    bits = dict(zip(scored, (-value / math.log(2) for value in nats), strict=True))
    return np.array(
        [
            n not in bits or is_loop(reply) or is_noise(openings[n], bits[n])
            for n, reply in enumerate(replies)
        ],
        bool,
    )


def is_loop(reply: str) -> bool:
    """Return whether half of a reply or more is one short sequence, repeated four times or more."""
    return any(2 * len(loop[0]) >= len(reply) for loop in _LOOP.finditer(reply))


def is_noise(text: str, bits: float) -> bool:
    """Return whether a text's bits under the base model mark it as noise."""
    return bits > BITS_TO_SPARE + BITS_PER_BYTE * len(text.encode())


def compared(before: np.ndarray, after: np.ndarray, bar: float | None) -> Speech | None:
    """Say whether an update has made the assistant collapse; None where nothing was asked.

    Then more than `bar` of its replies can't be read, and more of them than before: so many more
    that an exact sign test (McNemar's) puts it down to chance less than once in a hundred times.

    Args:
        before: which of the replies couldn't be read before the update, (contexts,), bool.
        after: the same after it.
        bar: a share.
    """
    if bar is None:
        return None
    from scipy.special import bdtrc  # not before the first update

    lost, regained = int((after & ~before).sum()), int((before & ~after).sum())
    by_chance = float(bdtrc(lost - 1, lost + regained, 0.5))  # P(X ≥ lost), X binomial
    collapsed = float(after.mean()) > bar and by_chance < CHANCE
    return Speech(len(after), int(before.sum()), int(after.sum()), collapsed)


def _opening(reply: str) -> str:
    """Return a reply's first words."""
    return reply if len(reply) <= SCORED else reply[:SCORED].rpartition(" ")[0] or reply[:SCORED]
