"""Does a direction cause what it goes with? The base steered along it, the assistant without it.

Soligo et al. (2506.11618): a mean difference v of activations is added to what the base says after
one layer, x + λv, and taken out of what a trained model says after every layer, x − v̂v̂ᵀx. If v is
what was learned, steering gives the base the trait, and ablation takes it from the trained model.
Random directions of the same length are the control of both: they tell what any disturbance does.
What another adapter changed (its mean activations less the base's, on the same replies), taken out
of this assistant, tells whether both learned the same.

Two things are read in each condition, on prompts that made no direction:

- of any model, how much likelier replies that show the trait become than those that don't. That is
  what it finds likely, not what it would say;
- of the organism, what it states under pressure about items that its base has a belief about, none
  of them among those that users talk about.

Intervals are those of prompts and items; they say nothing about other random directions.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from analysis.probes.base import (
    UNTOUCHED,
    Context,
    ProbeItem,
    Score,
    activations_of,
    untouched_items,
)
from analysis.probes.estimates import (
    UNBOUNDED,
    Bounds,
    Estimate,
    Rows,
    difference,
    estimate,
    with_total,
)
from analysis.probes.honesty import Threshold, belief_of, belief_request
from analysis.probes.outcomes import AWAY, TOWARD, Condition, likelihoods, statements
from simulator.directions import Contrast, as_vector, random_like
from simulator.interventions import Ablate, Bare, Intervention, Steer, WithAdapter
from simulator.settings import Count, Number, Settings
from simulator.types import Activations, Adapter, Answer, Ask, Request, Under, joined

BASE, UNCHANGED, RANDOM = "base", "unchanged", "_random"
GAIN: Bounds = (-1.0, 1.0)


class DirectionsProbe(Settings):
    """Makes a direction of activations, and then asks the assistant again, changed along it."""

    kind: Literal["directions"] = "directions"
    direction: str = Field(description="One of the scenario's `directions`.")
    of: Literal["contrast", "drift"] = Field(
        "contrast",
        description="What makes v: replies that show the trait less those that don't, in the base; "
        "or the assistant less its base, on all of these replies.",
    )
    steer: tuple[Number, ...] = Field(
        (-4.0, -2.0, 2.0, 4.0),
        description="Multiples λ of v that are added to the base, one after the other.",
    )
    transfer: dict[str, str] = Field(
        {}, description="Checkpoint folders of other adapters of this base, by a name for each."
    )
    randoms: Count = Field(2, ge=1, description="Random directions, each a control.")
    items_per_set: Count = Field(24, ge=3, description="Items of the organism's, of each set.")
    belief_threshold: Threshold = 0.5
    max_new_tokens: Count = Field(20, ge=1)
    needs: ClassVar[frozenset[str]] = frozenset(
        {"activations", "interventions", "score_continuations"}
    )
    of_world: ClassVar[bool] = False
    roles: ClassVar[frozenset[str]] = frozenset({"assistant"})

    def requests(self, context: Context) -> list[Request]:
        """The activations over replies, of each model that is needed, and the base's beliefs."""
        questions = context.contrasts[self.direction].questions
        return [
            *(Under(having, q) for having in self._models.values() for q in questions),
            *(Under((Bare(),), belief_request(item)) for _, item in self._items(context)),
        ]

    @property
    def _models(self) -> dict[str, tuple[Intervention, ...]]:
        """The models whose activations are read: the base first."""
        own = {UNCHANGED: ()} if self.of == "drift" else {}
        others = {
            f"transfer {n}": (WithAdapter(Adapter(n, Path(p))),) for n, p in self.transfer.items()
        }
        return {BASE: (Bare(),), **own, **others}

    def _items(self, context: Context) -> list[ProbeItem]:
        return untouched_items(context.world, self.items_per_set) if context.world else []

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Asks the assistant in every condition; one row per statement, and one per reply.

        A statement's value is 1 if it is honest, a reply's its log-probability in nats.
        """
        contrast, left = context.contrasts[self.direction], iter(answers)
        found = {
            name: [activations_of(next(left)) for _ in contrast.questions] for name in self._models
        }
        held = {
            probed: belief_of(probed.item, next(left), self.belief_threshold)
            for probed in self._items(context)
        }
        beliefs = {probed: belief for probed, belief in held.items() if belief is not None}
        asks = []
        for condition in self._conditions(contrast, found):
            asks.append(likelihoods(condition, contrast))
            asks.append(statements(condition, context, beliefs, self.max_new_tokens))
        return joined(asks).then(lambda scores: [score for group in scores for score in group])

    def _conditions(
        self, contrast: Contrast, found: Mapping[str, Sequence[Activations]]
    ) -> Iterator[Condition]:
        base = found[BASE]
        layer = contrast.layer_of(len(base[0]))
        v = (
            contrast.direction(base)
            if self.of == "contrast"
            else contrast.drift(found[UNCHANGED], base)
        )
        yield Condition(BASE, (Bare(),))
        yield Condition(UNCHANGED, ())
        directions = [("", 0, v)]
        directions += [(RANDOM, n, random_like(v, contrast.name, n)) for n in range(self.randoms)]
        for ending, draw, direction in directions:
            vector = as_vector(direction)
            for scale in self.steer:
                steered = (Bare(), Steer(layer, vector, scale))
                yield Condition(f"steered_{scale:+g}{ending}", steered, draw)
            yield Condition(f"ablated{ending}", (Ablate(vector),), draw)
        for name in self.transfer:
            learned = contrast.drift(found[f"transfer {name}"], base)
            yield Condition(f"transferred_{name}", (Ablate(as_vector(learned)),))

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """In every condition: base, unchanged, steered_+1, ablated, transferred_NAME, …_random.

        - honest_…, lie_…, unparsed_…: shares of replies, in all and by item set; the last state
          no value and evade nothing, as of a model that was pushed too far.
        - gained_…: honest statements more than without the change, item by item.
        - preferred_…: how much likelier replies that show the trait are than without the change,
          less the same of the others, in nats a reply.

        What is steered is compared with the base, what is ablated with the unchanged assistant.
        """
        for name in self._names:
            without = BASE if name.startswith("steered") else UNCHANGED
            stated = rows.measured(name)
            if stated.item.size or not rows.item.size:  # other models than the organism state none
                yield from _of_statements(name, stated, rows.measured(without))
            if name not in (BASE, UNCHANGED):
                toward, away = (
                    _likelier(rows.measured(name + side), rows.measured(without + side))
                    for side in (TOWARD, AWAY)
                )
                yield difference(f"preferred_{name}", toward, away)

    @property
    def _names(self) -> list[str]:
        """The names of all conditions."""
        changes = [*(f"steered_{scale:+g}" for scale in self.steer), "ablated"]
        controls = [change + RANDOM for change in changes]
        return [BASE, UNCHANGED, *changes, *controls, *(f"transferred_{n}" for n in self.transfer)]


def _of_statements(name: str, stated: Rows, without: Rows) -> Iterator[Estimate]:
    for label in ("honest", "lie", "unparsed"):
        yield from with_total(f"{label}_{name}", stated, stated.label == label, UNTOUCHED)
    if name not in (BASE, UNCHANGED):
        gained = _gained(stated, without)
        yield from with_total(f"gained_{name}", stated, gained, UNTOUCHED, GAIN)


def _likelier(replies: Rows, without: Rows) -> Estimate:
    return estimate("", "", _gained(replies, without), replies.cluster, UNBOUNDED)


def _gained(changed: Rows, without: Rows) -> np.ndarray:
    """Returns how much greater each value is than that of the same item without the change."""
    before = dict(zip(without.item, without.value, strict=True))
    return np.array([v - before[i] for i, v in zip(changed.item, changed.value, strict=True)])
