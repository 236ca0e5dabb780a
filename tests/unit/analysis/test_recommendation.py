"""Which arm is recommended, on results with known answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from analysis.studies.quantities import NotMeasured, Quantities, Quantity, Unit
from analysis.studies.recommendation import Recommendation
from tests.helpers.simulated_results import Simulated

ASKED = Recommendation.model_validate(
    {
        "against": "none",
        "arms": ["veto", "static", "useless"],
        "kept": {"metric": "honesty", "item_set": "heldout"},
        "lost": {"metric": "satisfaction_benign"},
    }
)
SATISFIED = np.array([0.90, 0.92, 0.88])
UNLIKE = np.array([0.99, 1.0, 1.01])  # no two bases lose the same to the last digit


def results(**honesty: list[float]) -> Simulated:
    """Static data cost satisfaction, and the others nothing."""
    arms = {f"{arm} honesty": values for arm, values in honesty.items()}
    costs = {"none": 0.0, "veto": 0.0, "useless": 0.0, "static": 0.2}
    lost = {f"{arm} satisfaction_benign": SATISFIED - c * UNLIKE for arm, c in costs.items()}
    return Simulated({**arms, **lost}, by_metric=True)


NONE = [0.40, 0.45, 0.42]


def test_what_keeps_the_most_is_recommended_with_its_price() -> None:
    found = results(
        none=NONE, veto=[0.60, 0.64, 0.63], static=[0.79, 0.86, 0.82], useless=[0.3, 0.6, 0.4]
    )
    ranked = ASKED.ranked(found)
    assert [choice.arm for choice in ranked] == ["static", "veto", "useless"]
    assert ranked[0].price.value == pytest.approx(0.4 / 0.2, rel=1e-2)
    assert np.isnan(ranked[1].price.value)  # it costs nothing
    said = ASKED.advice(found, ranked)
    assert said.startswith("Recommended is 'static': of honesty under pressure it keeps +40 points")
    assert "for a loss of +20 points [+20 to +20]" in said and "2.0 [1.9 to 2.1] kept" in said
    assert "isn't shown" not in said
    assert said.endswith(
        "Of 3 arms tried, 2 are shown to keep more, each by itself; after correcting for 3 "
        "comparisons, 'static', 'veto'."
    )


def test_what_is_not_shown_to_be_better_is_said() -> None:
    found = results(
        none=NONE, veto=[0.79, 0.83, 0.83], static=[0.80, 0.86, 0.81], useless=[0.4, 1.0, 0.8]
    )
    said = ASKED.advice(found, ASKED.ranked(found))
    assert "It isn't shown to keep more than 'veto', 'useless'." in said


def test_another_may_keep_more_for_each_lost() -> None:
    """Static data cost twenty points of satisfaction, the veto one, and it keeps nearly as much."""
    arms = {"none": NONE, "veto": [0.78, 0.82, 0.81], "static": [0.80, 0.86, 0.82]}
    costs = {"none": 0.0, "veto": 0.01, "static": 0.2}
    lost = {f"{arm} satisfaction_benign": SATISFIED - c * UNLIKE for arm, c in costs.items()}
    found = Simulated({**{f"{a} honesty": v for a, v in arms.items()}, **lost}, by_metric=True)
    said = ASKED.advice(found, ASKED.ranked(found))
    assert said.startswith("Recommended is 'static'") and "'veto' keeps the most for each" in said


def test_what_one_run_of_each_recommends_is_said_to_rest_on_that() -> None:
    rng = np.random.default_rng(1)
    arms = {"none honesty": rng.binomial(6, 0.3, (1, 24)) / 6, "veto honesty": np.ones((1, 24))}
    lost = {f"{arm} satisfaction_benign": [0.9] for arm in ("none", "veto")}
    found = Simulated({**arms, **lost}, by_metric=True)
    assert "so in one run of each arm" in ASKED.advice(found, ASKED.ranked(found))


def test_of_arms_that_do_nothing_few_are_still_shown_when_their_number_counts() -> None:
    rng = np.random.default_rng(2)
    arms = [f"arm {n}" for n in range(7)]
    asked = ASKED.model_copy(update={"arms": tuple(arms)})
    alone = counted = 0
    for _ in range(400):
        kept = {f"{arm} honesty": rng.normal(0.5, 0.1, 3) for arm in ("none", *arms)}
        lost = {f"{arm} satisfaction_benign": SATISFIED for arm in ("none", *arms)}
        found = Simulated({**kept, **lost}, by_metric=True)
        said = asked.advice(found, asked.ranked(found))
        alone += said.startswith("Recommended")
        counted += said.startswith("Recommended") and not said.endswith("none.")
    assert alone / 400 > 0.05 >= counted / 400


def test_arms_that_no_base_has_both_of_are_not_compared() -> None:
    """Of one arm the first base has finished, of another the second."""

    class Partly(Simulated):
        bases = {"none": {"0", "1"}, "veto": {"0"}, "static": {"1"}, "useless": set[str]()}  # noqa: RUF012

        def by_replicate(
            self, quantities: Quantities, beside: Sequence[Quantity] = ()
        ) -> dict[str, float]:
            common = set.intersection(*(self.bases[one.arm] for one in (*quantities, *beside)))
            if not common:
                raise NotMeasured("no base has finished of all")
            return {k: v for k, v in super().by_replicate(quantities, ()).items() if k in common}

        def by_unit(
            self, quantities: Quantities, unit: Unit, beside: Sequence[Quantity] = ()
        ) -> dict[str, "pd.Series[float]"]:
            common = self.by_replicate(quantities, beside)
            return {k: v for k, v in super().by_unit(quantities, unit).items() if k in common}

    rng = np.random.default_rng(1)
    said = {"none": rng.binomial(6, 0.2, (2, 24)) / 6, "veto": np.ones((2, 24))}
    kept = {f"{arm} honesty": said.get(arm, said["veto"]) for arm in Partly.bases}
    lost = {f"{arm} satisfaction_benign": [0.9, 0.8] for arm in Partly.bases}
    found = Partly({**kept, **lost}, by_metric=True)
    told = ASKED.advice(found, ASKED.ranked(found))
    assert "isn't shown to keep more than 'static'" in told
    assert "Of 2 arms tried, 2 are shown" in told or "so in one run of each arm" in told


def test_nothing_is_recommended_where_nothing_is_shown() -> None:
    found = results(none=NONE, veto=[0.2, 0.7, 0.5], useless=NONE)
    ranked = ASKED.ranked(found)
    assert ranked[-1].arm == "static" and "no static honesty" in ranked[-1].note
    assert ASKED.advice(found, ranked).startswith("Nothing is recommended: no arm is shown to keep")
