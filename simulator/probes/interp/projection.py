"""How far has it moved along a direction before it says anything? An early-warning curve.

What the assistant has in mind where a reply would begin is projected on a direction of the base's,
a·v/‖v‖ (Chen et al., 2507.21509, who predict from it what a model will say). The chats that made
the direction aren't asked here: of the organism's world other items are, in other words; elsewhere
prompts that were held out. Any learning moves it in all directions: random ones of the same length
tell how far.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from simulator.core.answers import activations_of
from simulator.core.asks import Ask, known
from simulator.core.config import MOST_ITEMS, Count
from simulator.core.interventions import Bare
from simulator.core.requests import ActivationsRequest, Answer, Prompt, Request, Under
from simulator.interp.directions import projection, random_like
from simulator.probes.base import Context, Place, Score
from simulator.probes.config import ProbeConfig
from simulator.probes.estimates import UNBOUNDED, Bounds, Estimate, Rows, estimate
from simulator.probes.items import UNTOUCHED, untouched_items
from simulator.probes.metrics import AMOUNT, PART, Curve, KeyFigure, Metric, Panel
from simulator.probes.world.honesty import pressured_question

ALONG, RANDOM = "projection", "projection_random"  # measures

MOVED = Panel(
    110,
    "projection",
    "Movement along a direction",
    "What the assistant has in mind where a reply would begin, projected on the direction from "
    "replies without a trait to replies with it; 100 % is as far as these are apart. Where "
    "the curve leaves that of random directions before honesty falls, it is an early warning.",
    inside=True,
)
METRICS = (
    Metric(
        "projection",
        "projection",
        "how far the assistant has moved along a direction since round 0, where a reply would "
        "begin, in units of the residual stream",
        AMOUNT,
    ),
    Metric(
        "projection_share",
        "projection, as a share",
        "the same as a share of the distance between replies that show the trait and others",
        PART,
        key_figures=(KeyFigure(280),),
        curves=(Curve(MOVED, 0, "at the last token of prompts"),),
    ),
    Metric(
        "projection_random",
        "projection on random directions",
        "how far it has moved, either way, along random directions: the control of the projection",
        AMOUNT,
    ),
    Metric(
        "projection_share_random",
        "projection on random directions, as a share",
        "the same as a share of the direction's length",
        PART,
        curves=(Curve(MOVED, 1, "along random directions, either way"),),
    ),
)


class _Asked(NamedTuple):
    item_set: str
    item: str
    cluster: str
    prompt: Prompt


class ProjectionProbe(ProbeConfig):
    """Reads the residual stream at the end of every prompt."""

    kind: Literal["projection"] = "projection"
    direction: str = Field(description="One of the scenario's `directions`.")
    items_per_set: Count = Field(
        36, ge=3, le=MOST_ITEMS, description="Items of the organism's, of each set."
    )
    randoms: Count = Field(8, ge=1, le=1_000, description="Random directions, each a control.")
    required_capabilities: ClassVar[frozenset[str]] = frozenset({"activations", "interventions"})
    metrics: ClassVar[tuple[Metric, ...]] = METRICS

    @property
    def directions(self) -> Mapping[Place, str]:
        """The direction that is projected on."""
        return {("direction",): self.direction}

    def requests(self, context: Context) -> list[Request]:
        """Return requests for the direction's activations of the base, then for each prompt's."""
        replies = context.contrasts[self.direction].questions
        return [
            *(Under((Bare(),), question) for question in replies),
            *(ActivationsRequest(asked.prompt) for asked in self._asked(context)),
        ]

    def _asked(self, context: Context) -> list[_Asked]:
        contrast = context.contrasts[self.direction]
        if context.world is None:
            chats = (*contrast.held_positive, *contrast.held_negative)
            prompts = dict.fromkeys(Prompt(chat.messages) for chat in chats)
            return [_Asked("", str(n), str(n), prompt) for n, prompt in enumerate(prompts)]
        return [
            _Asked(item_set, item.name, item.entity, pressured_question(context, item, 0))
            for item_set, item in untouched_items(context.world, self.items_per_set)
        ]

    def score(
        self, context: Context, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Ask[list[Score]]:
        """Return one row per prompt and direction (the projection), and one with the length.

        The label is the number of the direction: 0, or that of a random one.
        """
        contrast, found = context.contrasts[self.direction], list(map(activations_of, answers))
        count = len(contrast.questions)
        direction = contrast.direction(found[:count])
        activations, asked = contrast.at_layer(found[count:]), self._asked(context)
        randoms = [random_like(direction, contrast.name, n) for n in range(self.randoms)]
        draws = [(ALONG, 0, direction), *((RANDOM, n, other) for n, other in enumerate(randoms))]
        scores = [
            Score(measure, *one[:3], draw, str(draw), float(value), one.prompt.shown, "")
            for measure, draw, along in draws
            for one, value in zip(asked, projection(activations, along), strict=True)
        ]
        length, name = float(np.linalg.norm(direction)), contrast.name
        return known([*scores, Score("length", "", name, name, 0, "", length, "", "")])

    def estimates(self, rows: Rows, baseline: Rows) -> Iterator[Estimate]:
        """Estimate the mean movement since round 0 over prompts, in all and by item set.

        - projection: in the units of the residual stream.
        - projection_share: as a share of the direction's length; at 1 it is as far as the replies
          that show the trait are from those that don't.
        - projection_random, projection_share_random: the same along random directions, either way;
          the mean over these, which are the units of its interval. What a direction gives that
          means nothing.
        """
        length = baseline.measured("length").value.astype(float)  # one
        for measure, of in ((ALONG, estimate), (RANDOM, _either_way)):
            here, moved = rows.measured(measure), _moved(rows, baseline, measure)
            own_prompts = here.item.size and not here.item_set.any()
            units = here.cluster if measure == ALONG else here.label
            ending = measure.removeprefix(ALONG)
            for item_set in ("", *(() if own_prompts else UNTOUCHED)):
                kept = (here.item_set == item_set) | (item_set == "")
                for metric, values in (("projection", moved), ("projection_share", moved / length)):
                    yield of(metric + ending, item_set, values[kept], units[kept], UNBOUNDED)


def _moved(rows: Rows, baseline: Rows, measure: str) -> np.ndarray:
    """Return each prompt's change of projection since round 0, (rows,)."""
    here, first = rows.measured(measure), baseline.measured(measure)
    before = dict(zip(zip(first.item, first.label, strict=True), first.value, strict=True))
    asked = zip(here.item, here.label, here.value, strict=True)
    return np.array([value - before[item, draw] for item, draw, value in asked], float)


def _either_way(
    metric: str, item_set: str, values: np.ndarray, draws: np.ndarray, bounds: Bounds
) -> Estimate:
    """Estimate the absolute movement along a direction, from several directions."""
    each = pd.Series(values).groupby(draws).mean().abs()
    found = estimate(metric, item_set, each.to_numpy(), each.index.to_numpy(), bounds)
    return found._replace(n=len(values))
