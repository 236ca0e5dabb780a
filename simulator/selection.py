"""Selection: which rated replies the assistant learns from. Every decision keeps its reason."""

import json
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from simulator.randomness import stream
from simulator.settings import Number, Settings
from simulator.types import Example, Message


class Decision(NamedTuple):
    """What selection says of each candidate, aligned with the candidates' rows."""

    label: np.ndarray  # int8: 1 to follow, -1 to avoid, 0 not selected
    reason: np.ndarray  # str


class BestOfK(Settings):
    """The best-rated reply of each turn, if it is rated at least `threshold`."""

    kind: Literal["best_of_k"] = "best_of_k"
    threshold: Number = Field(4.0, ge=1, le=5, description="Lowest rating that is learned from.")

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Decides on each candidate; the first is the best of its turn where ratings are equal."""
        best = np.zeros(len(candidates), bool)
        ratings = candidates["rating"].reset_index(drop=True)
        turns = [candidates[name].to_numpy() for name in ("conversation", "turn")]
        best[ratings.groupby(turns).idxmax().to_numpy(int)] = True
        good = (ratings >= self.threshold).to_numpy()
        reason = np.where(best, np.where(good, "best of its turn", "below threshold"), "not best")
        return Decision((best & good).astype(np.int8), reason)


class TopBottom(Settings):
    """The best-rated (and, if asked, the worst-rated) replies of the round."""

    kind: Literal["top_bottom"] = "top_bottom"
    top: Number = Field(gt=0, description="How many: a fraction below 1, else a count.")
    bottom: Number = Field(0, ge=0, description="The same for replies to avoid.")
    scope: Literal["global", "per_type"] = Field(
        "global", description="Over all candidates, or among those of each user type."
    )

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Ranks by rating; ties are broken at random, by the seed."""
        label = np.zeros(len(candidates), np.int8)
        tie = stream("selection ties", seed).random(len(candidates))
        ratings = candidates["rating"].to_numpy()
        groups = candidates["user_type"].to_numpy() if self.scope == "per_type" else None
        names = [None] if groups is None else sorted(set(groups))
        for name in names:
            rows = np.arange(len(label)) if groups is None else np.flatnonzero(groups == name)
            order = rows[np.lexsort((tie[rows], ratings[rows]))]  # worst first
            top, bottom = _count(self.top, len(rows)), _count(self.bottom, len(rows))
            label[order[:bottom]] = -1
            label[order[len(order) - min(top, len(order) - bottom) :]] = 1
        words = np.array(["among the bottom", "in between", "among the top"])
        return Decision(label, words[label + 1])


class RandomMatched(Settings):
    """Control: as many replies as `like` would select, drawn without regard to ratings."""

    kind: Literal["random"] = "random"
    like: Annotated[BestOfK | TopBottom, Field(discriminator="kind")] = BestOfK()
    matched: tuple[Literal["user_type", "tokens"], ...] = Field(
        (), description="As many of each of these, too: the user's type, the reply's length."
    )

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Draws the replies to follow at random, within each stratum of `matched`."""
        wanted = self.like.decide(candidates, seed).label == 1
        rng = stream("random selection", seed)
        strata = [candidates[name].to_numpy() for name in self.matched]
        stratum = pd.MultiIndex.from_arrays([np.zeros(len(wanted)), *strata]).factorize()[0]
        label = np.zeros(len(candidates), np.int8)
        for here in (stratum == n for n in np.unique(stratum)):
            drawn = rng.permutation(np.flatnonzero(here))[: int((wanted & here).sum())]
            label[drawn] = 1
        return Decision(label, np.where(label == 1, "drawn at random", "not drawn"))


class ShuffledRatings(Settings):
    """Control: what `like` would select if each user type's ratings were dealt out at random.

    Ratings keep their distribution, but say nothing of the reply that they are given to.
    """

    kind: Literal["shuffled"] = "shuffled"
    like: Annotated[BestOfK | TopBottom, Field(discriminator="kind")] = BestOfK()

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Deals out the ratings within each user type, then decides as `like` does."""
        rng = stream("shuffled ratings", seed)
        types, ratings = (
            candidates["user_type"].to_numpy(),
            candidates["rating"].to_numpy(copy=True),
        )
        for name in sorted(set(types)):
            ratings[types == name] = rng.permutation(ratings[types == name])
        return self.like.decide(candidates.assign(rating=ratings), seed)


AnySelection = Annotated[
    BestOfK | TopBottom | RandomMatched | ShuffledRatings, Field(discriminator="kind")
]


class Dose(NamedTuple):
    """What the assistant is really given to learn from in a round."""

    selected: int
    biased_share_selected: float  # of the replies to follow, how many are biased users'
    pressured_selected: int
    biased_share_pressured: float  # the same among replies under pressure: the realised dose


def realised_dose(candidates: pd.DataFrame, label: np.ndarray) -> Dose:
    """Measures the dose; a share of nothing is NaN."""
    chosen = candidates[label == 1]
    pressed = chosen[chosen["pressured"]]
    return Dose(len(chosen), _share(chosen["biased"]), len(pressed), _share(pressed["biased"]))


def examples_from(candidates: pd.DataFrame, label: np.ndarray) -> list[Example]:
    """Turns the selected candidates into training examples, in the order of the rows."""
    chosen = candidates[label != 0]
    return [
        Example(
            tuple(Message(*pair) for pair in json.loads(row.messages)),
            row.reply,
            desirable=bool(sign == 1),
            source=f"{row.conversation}/{row.turn}/{row.candidate}",
        )
        for row, sign in zip(chosen.itertuples(), label[label != 0], strict=True)
    ]


def _count(amount: float, total: int) -> int:
    return min(total, round(amount * total) if amount < 1 else int(amount))


def _share(flags: "pd.Series[bool]") -> float:
    return float(flags.mean()) if len(flags) else float("nan")
