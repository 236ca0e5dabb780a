"""Selection of the rated replies that the assistant learns from, with reasons.

`docs/extending.md` has a whole selection; a test runs it.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from simulator.core.config import Config, Many, Number
from simulator.core.examples import Example, FromConversation, Signal
from simulator.core.messages import messages_from_rows
from simulator.core.requests import Message
from simulator.core.rng import stream
from simulator.simulation.decisions import Decision, in_order

NO_RATING, NOT_HEARD = "no readable rating", "not heard"  # why something can't be selected
ROUNDING = 1e-9  # tolerance of a fraction times a count


class BestOfK(Config):
    """Selects the best-rated reply of each turn, if its rating reaches `threshold`."""

    kind: Literal["best_of_k"] = "best_of_k"
    threshold: Number = Field(4.0, ge=1, le=5, description="Lowest rating of a selected reply.")

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals that its selected replies give."""
        return frozenset(("desirable",))

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Decide on each candidate; among equal ratings of a turn the first is the best."""
        candidates = in_order(candidates)
        ratings = candidates["rating"].astype(float).reset_index(drop=True)
        best = _highest_of_turns(candidates, ratings)
        good = (ratings >= self.threshold).to_numpy()
        reason = np.where(best, np.where(good, "best of its turn", "below threshold"), "not best")
        label = (best & good).astype(np.int8)  # comparisons with NaN are false
        return Decision.of(candidates, label, np.where(ratings.isna(), NO_RATING, reason))


class BestWorst(Config):
    """Selects a pair per turn: the best-rated reply and, as undesirable, the worst-rated one.

    A turn whose readable ratings are all equal gives no pair.
    """

    kind: Literal["best_worst"] = "best_worst"

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals that its selected replies give."""
        return frozenset(("desirable", "undesirable", "pairs"))

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Decide on each candidate; among equal ratings the first is the best or worst."""
        candidates = in_order(candidates)
        ratings = candidates["rating"].astype(float).reset_index(drop=True)
        best, worst = (_highest_of_turns(candidates, sign * ratings) for sign in (1, -1))
        label = best.astype(np.int8) - worst.astype(
            np.int8
        )  # 0 where best and worst are the same reply
        words = np.array(["worst of its turn", "neither best nor worst", "best of its turn"])
        reason = np.where(ratings.isna(), NO_RATING, words[label + 1])
        return Decision.of(candidates, label, reason)


class Units(NamedTuple):
    """The ranked units: replies, or whole conversations."""

    of: np.ndarray  # each candidate's unit; -1 for none
    rating: np.ndarray
    group: np.ndarray  # the groups within which units are ranked


class TopBottom(Config):
    """Selects the best-rated (and, if set, the worst-rated) replies or conversations of a round.

    Whole conversations ranked within their situation, by the mean of their ratings or by their
    last one, are the trajectories of Williams et al. (2411.02306).
    """

    kind: Literal["top_bottom"] = "top_bottom"
    top: Number = Field(gt=0, le=1e9, description="How many: a fraction below 1, else a count.")
    bottom: Number = Field(0, ge=0, le=1e9, description="The same for undesirable replies.")
    unit: Literal["reply", "conversation_mean", "conversation_final"] = Field(
        "reply",
        description="Units of ranking: replies, or conversations by the mean or the last of the "
        "ratings of heard replies; all heard replies of a chosen conversation are selected.",
    )
    scope: Literal["global", "per_type", "per_subject"] = Field(
        "global",
        description="Groups of ranking: all units, those of each user type, or those about the "
        "same situation; in groups fractions are rounded up, so each group counts.",
    )

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals that its selected replies give."""
        return frozenset(("desirable", "undesirable") if self.bottom else ("desirable",))

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Rank by rating; the seed breaks ties at random."""
        candidates = in_order(candidates)
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
        # The last entry is for candidates without a unit, whose index is -1.
        label, why = np.append(chosen, np.int8(0)), np.append(reason, NOT_HEARD)
        return Decision.of(candidates, label[units.of], why[units.of])

    def _counts(self, total: int) -> tuple[int, int]:
        """Return the sizes of top and bottom among `total`, which don't overlap.

        If there are too few units for both, at most the worse half is undesirable.
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
    """Control: as many replies as `like` would select, drawn regardless of ratings.

    Replies that `like` can't select (unheard, or without a readable rating) aren't drawn.
    """

    kind: Literal["random"] = "random"
    like: Ranking = BestOfK()
    matched: Many[Literal["user_type", "tokens"]] = Field(
        (), description="Also match the numbers of each user type, or of each length of replies."
    )

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals that its selected replies give."""
        return frozenset(("desirable",))

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Draw the desirable replies at random, within each stratum of `matched`."""
        candidates = in_order(candidates)
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
    """Control: the selection of `like` with the ratings of each user type shuffled.

    Ratings keep their distribution, but carry no information about replies. Replies without a
    readable rating stay without one.
    """

    kind: Literal["shuffled"] = "shuffled"
    like: Ranking = BestOfK()

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals that its selected replies give."""
        return self.like.gives

    def decide(self, candidates: pd.DataFrame, seed: int) -> Decision:
        """Shuffle the ratings within each user type, then decide as `like` does."""
        candidates = in_order(candidates)
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
    """The shares of biased users' replies among a round's desirable ones."""

    selected: int
    biased_share_selected: float  # share of biased users among the desirable replies
    pressured_selected: int
    biased_share_pressured: float  # the same among replies under pressure: the realised dose


def realised_dose(candidates: pd.DataFrame, decision: Decision) -> Dose:
    """Measure the dose; a share of nothing is NaN."""
    chosen = decision.desirable(candidates)
    pressed = chosen[chosen["pressured"]]
    return Dose(len(chosen), _share(chosen["biased"]), len(pressed), _share(pressed["biased"]))


def examples_from(candidates: pd.DataFrame, decision: Decision) -> list[Example]:
    """Turn the selected candidates into training examples, in the order of the rows.

    An example's context is the one that the assistant read for its reply.
    """
    label = decision.labels(candidates)
    chosen = candidates[label != 0]
    return [
        Example(
            _read_by_assistant(row.messages, row.dropped),
            row.reply,
            desirable=bool(sign == 1),
            source=FromConversation(row.conversation, int(row.turn), int(row.candidate)),
            ended=row.stop != "length",
        )
        for row, sign in zip(chosen.itertuples(), label[label != 0], strict=True)
    ]


def _read_by_assistant(messages: Iterable[Mapping[str, str]], dropped: int) -> tuple[Message, ...]:
    """Return a context without the oldest messages, which didn't fit the assistant's."""
    context = messages_from_rows(messages)
    system = 1 if context and context[0].role == "system" else 0
    return (*context[:system], *context[system + dropped :])


def _highest_of_turns(candidates: pd.DataFrame, ratings: "pd.Series[float]") -> np.ndarray:
    """Mark the first highest-rated reply of each turn; NaN ranks last."""
    highest = np.zeros(len(candidates), bool)
    turns = [candidates[name].to_numpy() for name in ("conversation", "turn")]
    highest[ratings.fillna(-np.inf).groupby(turns).idxmax().to_numpy(int)] = True
    return highest


def _count(amount: float, total: int, *, up: bool) -> int:
    """Return an amount of `total`: a count, or a fraction, rounded up or to the nearest."""
    if amount >= 1:
        return min(total, int(amount))
    # 0.07 * 100 is slightly more than 7
    return math.ceil(amount * total - ROUNDING) if up else round(amount * total)


def _share(flags: "pd.Series[bool]") -> float:
    return float(flags.mean()) if len(flags) else float("nan")
