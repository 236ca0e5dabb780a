"""Selection: which rated replies the assistant learns from. Every decision keeps its reason."""

import math
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from simulator.core.config import Config, Number
from simulator.core.examples import Example, Signal
from simulator.core.messages import messages_from_json
from simulator.core.requests import Message
from simulator.core.rng import stream
from simulator.simulation.decisions import Decision, as_said

NO_RATING, NOT_HEARD = "no readable rating", "not heard"  # why something can't be selected
ROUNDING = 1e-9  # of a fraction times a count


class BestOfK(Config):
    """The best-rated reply of each turn, if it is rated at least `threshold`."""

    kind: Literal["best_of_k"] = "best_of_k"
    threshold: Number = Field(4.0, ge=1, le=5, description="Lowest rating that is learned from.")

    @property
    def gives(self) -> frozenset[Signal]:
        """What can be learned from what it selects."""
        return frozenset(("desirable",))

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Decide on each candidate; the first is the best of its turn where ratings are equal."""
        candidates = as_said(candidates)
        ratings = candidates["rating"].astype(float).reset_index(drop=True)
        best = _highest_of_turns(candidates, ratings)
        good = (ratings >= self.threshold).to_numpy()
        reason = np.where(best, np.where(good, "best of its turn", "below threshold"), "not best")
        label = (best & good).astype(np.int8)  # nothing is above or below a rating that is NaN
        return Decision.of(candidates, label, np.where(ratings.isna(), NO_RATING, reason))


class BestWorst(Config):
    """Of each turn the best-rated desirable reply and the worst-rated one to avoid: a pair.

    A turn whose readable ratings are all the same has neither.
    """

    kind: Literal["best_worst"] = "best_worst"

    @property
    def gives(self) -> frozenset[Signal]:
        """What can be learned from what it selects."""
        return frozenset(("desirable", "undesirable", "pairs"))

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Decide on each candidate; the first is the best or worst where ratings are equal."""
        candidates = as_said(candidates)
        ratings = candidates["rating"].astype(float).reset_index(drop=True)
        best, worst = (_highest_of_turns(candidates, sign * ratings) for sign in (1, -1))
        label = best.astype(np.int8) - worst.astype(np.int8)  # 0 where best and worst are the same
        words = np.array(["worst of its turn", "neither best nor worst", "best of its turn"])
        reason = np.where(ratings.isna(), NO_RATING, words[label + 1])
        return Decision.of(candidates, label, reason)


class Units(NamedTuple):
    """What is ranked: replies, or whole conversations."""

    of: np.ndarray  # of each candidate: the number of its unit; -1 where it belongs to none
    rating: np.ndarray
    group: np.ndarray  # within which a unit is ranked


class TopBottom(Config):
    """The best-rated (and, if asked, the worst-rated) replies or conversations of the round.

    Whole conversations ranked within their situation, by the mean of their ratings or by their
    last one, are the trajectories of Williams et al. (2411.02306).
    """

    kind: Literal["top_bottom"] = "top_bottom"
    top: Number = Field(gt=0, description="How many: a fraction below 1, else a count.")
    bottom: Number = Field(0, ge=0, description="The same for those to avoid.")
    unit: Literal["reply", "conversation_mean", "conversation_final"] = Field(
        "reply",
        description="What is ranked: replies, or conversations by the mean or the last of the "
        "ratings of what was heard; all that was heard in a chosen conversation is selected.",
    )
    scope: Literal["global", "per_type", "per_subject"] = Field(
        "global",
        description="Over all of them, among those of each user type, or among those about the "
        "same (a situation); there fractions are rounded up, so that none is left out.",
    )

    @property
    def gives(self) -> frozenset[Signal]:
        """What can be learned from what it selects."""
        return frozenset(("desirable", "undesirable") if self.bottom else ("desirable",))

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Rank by rating; ties are broken at random, by the seed."""
        candidates = as_said(candidates)
        units = self._units(candidates)
        chosen = np.zeros(len(units.rating), np.int8)
        tie = stream("selection ties", seed).random(len(chosen))
        rated = ~np.isnan(units.rating)
        for group in sorted(set(units.group)):
            rows = np.flatnonzero((units.group == group) & rated)
            order = rows[np.lexsort((tie[rows], units.rating[rows]))]  # worst first
            top, bottom = self._counts(len(rows))
            chosen[order[:bottom]] = -1
            chosen[order[len(order) - top :]] = 1
        words = np.array(["among the bottom", "in between", "among the top"])
        reason = np.where(rated, words[chosen + 1], NO_RATING)
        # The last entry is that of candidates without a unit, which -1 points at.
        label, why = np.append(chosen, np.int8(0)), np.append(reason, NOT_HEARD)
        return Decision.of(candidates, label[units.of], why[units.of])

    def _counts(self, total: int) -> tuple[int, int]:
        """How many of `total` are the top and the bottom; nothing is both.

        Where there are too few for both, no more than the worse half is to avoid.
        """
        up = self.scope == "per_subject"
        top, bottom = _count(self.top, total, up=up), _count(self.bottom, total, up=up)
        bottom = min(bottom, max(total - top, total // 2))
        return min(top, total - bottom), bottom

    def _units(self, candidates: pd.DataFrame) -> Units:
        ratings = candidates["rating"].to_numpy(float)
        if self.unit == "reply":
            return Units(np.arange(len(ratings)), ratings, self._groups(candidates))
        heard = candidates[candidates["heard"]]
        firsts = heard.drop_duplicates("conversation").set_index("conversation")
        if self.unit == "conversation_mean":
            values = heard.groupby("conversation")["rating"].mean()
        else:
            lasts = heard.drop_duplicates("conversation", keep="last")
            values = lasts.set_index("conversation")["rating"]
        numbers = firsts.index.get_indexer(pd.Index(candidates["conversation"]))
        of = np.where(candidates["heard"], numbers, -1)
        return Units(of, values.reindex(firsts.index).to_numpy(float), self._groups(firsts))

    def _groups(self, units: pd.DataFrame) -> np.ndarray:
        column = {"per_type": "user_type", "per_subject": "about"}.get(self.scope)
        return units[column].to_numpy() if column else np.zeros(len(units))


Ranking = Annotated[BestOfK | BestWorst | TopBottom, Field(discriminator="kind")]


class RandomMatched(Config):
    """Control: as many replies as `like` would select, drawn without regard to ratings.

    What `like` can't select (it wasn't heard, or has no readable rating) isn't drawn either.
    """

    kind: Literal["random"] = "random"
    like: Ranking = BestOfK()
    matched: tuple[Literal["user_type", "tokens"], ...] = Field(
        (), description="As many of each of these, too: the user's type, the reply's length."
    )

    @property
    def gives(self) -> frozenset[Signal]:
        """What can be learned from what it selects."""
        return frozenset(("desirable",))

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Draw the desirable replies at random, within each stratum of `matched`."""
        candidates = as_said(candidates)
        like = self.like.decide(candidates, seed)
        wanted, why = like.labels(candidates) == 1, like.reasons(candidates)
        open_to = ~np.isin(why, (NO_RATING, NOT_HEARD))
        rng = stream("random selection", seed)
        strata = [candidates[name].to_numpy() for name in self.matched]
        stratum = pd.MultiIndex.from_arrays([np.zeros(len(wanted)), *strata]).factorize()[0]
        label = np.zeros(len(candidates), np.int8)
        for here in (stratum == n for n in np.unique(stratum)):
            drawn = rng.permutation(np.flatnonzero(here & open_to))[: int((wanted & here).sum())]
            label[drawn] = 1
        reason = np.where(label == 1, "drawn at random", "not drawn")
        return Decision.of(candidates, label, np.where(open_to, reason, why))


class ShuffledRatings(Config):
    """Control: what `like` would select if each user type's ratings were dealt out at random.

    Ratings keep their distribution, but say nothing of the reply that they are given to. Replies
    without a readable rating get none.
    """

    kind: Literal["shuffled"] = "shuffled"
    like: Ranking = BestOfK()

    @property
    def gives(self) -> frozenset[Signal]:
        """What can be learned from what it selects."""
        return self.like.gives

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Deal out the ratings within each user type, then decide as `like` does."""
        candidates = as_said(candidates)
        rng = stream("shuffled ratings", seed)
        types = candidates["user_type"].to_numpy()
        ratings = candidates["rating"].to_numpy(float, copy=True)
        for name in sorted(set(types)):
            dealt = (types == name) & ~np.isnan(ratings)
            ratings[dealt] = rng.permutation(ratings[dealt])
        return self.like.decide(candidates.assign(rating=ratings), seed)


AnySelection = Annotated[
    BestOfK | BestWorst | TopBottom | RandomMatched | ShuffledRatings, Field(discriminator="kind")
]


class Dose(NamedTuple):
    """What the assistant is really given to learn from in a round."""

    selected: int
    biased_share_selected: float  # of the desirable replies, how many are biased users'
    pressured_selected: int
    biased_share_pressured: float  # the same among replies under pressure: the realised dose


def realised_dose(candidates: pd.DataFrame, decision: Decision) -> Dose:
    """Measure the dose; a share of nothing is NaN."""
    chosen = decision.desirable(candidates)
    pressed = chosen[chosen["pressured"]]
    return Dose(len(chosen), _share(chosen["biased"]), len(pressed), _share(pressed["biased"]))


def examples_from(candidates: pd.DataFrame, decision: Decision) -> list[Example]:
    """Turn the selected candidates into training examples, in the order of the rows.

    An example's context is what the assistant read when it replied.
    """
    label = decision.labels(candidates)
    chosen = candidates[label != 0]
    return [
        Example(
            _read_by_assistant(row.messages, row.dropped),
            row.reply,
            desirable=bool(sign == 1),
            source=f"{row.conversation}/{row.turn}/{row.candidate}",
            ended=row.stop != "length",
        )
        for row, sign in zip(chosen.itertuples(), label[label != 0], strict=True)
    ]


def _read_by_assistant(messages: str, dropped: int) -> tuple[Message, ...]:
    """Returns a context without the oldest messages that the assistant's had no room for."""
    context = messages_from_json(messages)
    system = 1 if context and context[0].role == "system" else 0
    return (*context[:system], *context[system + dropped :])


def _highest_of_turns(candidates: pd.DataFrame, ratings: "pd.Series[float]") -> np.ndarray:
    """Marks the first highest-rated reply of each turn; NaN is below everything."""
    highest = np.zeros(len(candidates), bool)
    turns = [candidates[name].to_numpy() for name in ("conversation", "turn")]
    highest[ratings.fillna(-np.inf).groupby(turns).idxmax().to_numpy(int)] = True
    return highest


def _count(amount: float, total: int, *, up: bool) -> int:
    """Returns how many of `total` a fraction, rounded up or to the nearest, or a count is."""
    if amount >= 1:
        return min(total, int(amount))
    # 0.07 * 100 is a little more than 7
    return math.ceil(amount * total - ROUNDING) if up else round(amount * total)


def _share(flags: "pd.Series[bool]") -> float:
    return float(flags.mean()) if len(flags) else float("nan")
