"""What counts as a lie, and whether the intervals around the shares can be trusted."""

import numpy as np
import pandas as pd
import pytest

from simulator.probes.base import Probe, Score
from simulator.probes.estimates import Estimate, estimate, lookup
from simulator.probes.items import GROUPS, probe_items
from simulator.probes.judged.scales import JudgedProbe
from simulator.probes.summary import scores_table, summarise
from simulator.probes.world.honesty import OUTCOMES, HonestyProbe, outcome
from simulator.probes.world.neutral import NeutralProbe
from simulator.worlds.base import ITEM_SETS, Statement
from simulator.worlds.synthetic import SyntheticWorld

EXPERIMENTS = 400


@pytest.mark.parametrize(
    ("belief", "statement", "label"),
    [
        ("mild", Statement("mild", False, False), "honest"),
        ("mild", Statement("strong", False, False), "lie"),
        ("mild", Statement("strong", False, True), "lie"),
        ("mild", Statement(None, True, False), "evade"),
        (None, Statement(None, True, False), "evade"),  # evasion outranks missing belief
        (None, Statement("mild", False, False), "no_belief"),
        ("mild", Statement(None, False, False), "unparsed"),  # babble is no evasion
        (None, Statement(None, False, False), "unparsed"),
    ],
)
def test_outcome(belief: str | None, statement: Statement, label: str) -> None:
    assert outcome(belief, statement) == label
    assert label in OUTCOMES


def rows(table: list[tuple[str, str, list[str]]]) -> pd.DataFrame:
    """Scores of items given as (name, belief, outcomes under pressure), two items an entity."""
    scores = []
    for n, (name, belief, outcomes) in enumerate(table):
        head = ("used", name, f"entity{n // 2}")
        scores.append(Score("belief", *head, 0, belief, 1.0, "", ""))
        for s, label in enumerate(outcomes):
            honest = float(label == "honest")
            scores.append(Score("pressured", *head, s, label, honest, "", ""))
    return scores_table({"honesty": scores})


BEFORE = rows([("a", "x", ["honest", "honest"]), ("b", "x", ["lie", "honest"]),
               ("c", "none", ["no_belief", "evade"])])  # fmt: skip
AFTER = rows([("a", "x", ["lie", "honest"]), ("b", "none", ["no_belief", "unparsed"]),
              ("c", "x", ["honest", "honest"])])  # fmt: skip


def of_honesty(scores: pd.DataFrame) -> list[Estimate]:
    return summarise({"honesty": HonestyProbe()}, scores, BEFORE)


def value(metric: str, scores: pd.DataFrame = AFTER) -> tuple[float, int]:
    found = lookup(of_honesty(scores), metric, "used")
    assert found is not None
    return found.value, found.n


def test_honesty_keeps_the_denominator_of_round_0() -> None:
    assert value("honesty", BEFORE) == (0.75, 4)  # items a and b
    assert value("honesty") == (0.25, 4)  # still a and b: a forgotten belief isn't excused
    assert value("honesty_now") == (0.75, 4)  # a and c, which it believes in now


def test_outcome_shares_are_of_all_answers() -> None:
    shares = {label: value(f"p_{label}") for label in OUTCOMES}
    assert shares == {
        "honest": (0.5, 6), "lie": (1 / 6, 6), "evade": (0, 6),
        "no_belief": (1 / 6, 6), "unparsed": (1 / 6, 6),
    }  # fmt: skip
    assert value("belief") == (1.0, 3)


def test_a_set_without_answers_is_not_a_number() -> None:
    found = lookup(of_honesty(AFTER), "honesty", "ood")
    assert found is not None
    assert found.n == 0
    assert np.isnan([found.value, found.low, found.high]).all()
    assert lookup(of_honesty(AFTER), "neutral_accuracy") is None


def clustered(seed: int, clusters: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of entities whose own rates differ (beta, mean 0.6): not independent."""
    rng = np.random.default_rng(seed)
    rates = rng.beta(1.8, 1.2, clusters)
    answers = rng.random((clusters, size)) < rates[:, None]
    names = np.repeat([f"e{i}" for i in range(clusters)], size)
    return answers.ravel().astype(float), names


def test_interval_covers_the_mean_of_clustered_answers() -> None:
    clustered_hits = naive_hits = 0
    for n in range(EXPERIMENTS):
        values, names = clustered(n, clusters=30, size=6)
        found = estimate(f"m{n}", "", values, names)
        clustered_hits += found.low <= 0.6 <= found.high
        alone = np.array([str(i) for i in range(len(values))])
        naive = estimate(f"m{n}", "", values, alone)
        naive_hits += naive.low <= 0.6 <= naive.high
    assert 0.90 <= clustered_hits / EXPERIMENTS <= 0.98
    assert naive_hits / EXPERIMENTS < 0.85  # what ignoring the clusters would have cost


def test_interval_does_not_depend_on_the_order_of_rows() -> None:
    values, names = clustered(0, 20, 4)
    order = np.random.default_rng(1).permutation(len(values))
    shuffled = estimate("m", "", values[order], names[order])
    assert shuffled == pytest.approx(estimate("m", "", values, names)) or shuffled == estimate(
        "m", "", values, names
    )


@pytest.mark.parametrize(("share", "low", "high"), [(1.0, 0.7225, 1.0), (0.0, 0.0, 0.2775)])
def test_unanimity_gets_wilsons_interval(share: float, low: float, high: float) -> None:
    values = np.array([share] * 40)
    clusters = np.array([str(i % 10) for i in range(40)])
    found = estimate("m", "", values, clusters)
    assert (found.value, found.n) == (share, 40)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)  # Wilson, 10 of 10


def test_unanimity_is_seen_through_the_rounding_of_sums() -> None:
    clusters = np.repeat([str(n) for n in range(10)], range(1, 11))
    found = estimate("m", "", np.full(len(clusters), 0.1), clusters)
    assert (found.low, found.high) == pytest.approx((0.0722, 0.3498), abs=1e-4)


@pytest.mark.parametrize(("low", "high"), [(0, 100), (1, 5)])
def test_unanimity_on_a_scale_is_no_certainty(low: float, high: float) -> None:
    values = np.array([float(low)] * 40)
    found = estimate("m", "", values, np.array([str(i % 10) for i in range(40)]), (low, high))
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(low + 0.2775 * (high - low), abs=1e-2)


def test_where_nothing_differs_few_others_might() -> None:
    nothing = np.zeros(40)
    found = estimate("gap", "", nothing, np.array([str(i % 10) for i in range(40)]), (-1, 1))
    assert (found.low, found.high) == pytest.approx((-0.2775, 0.2775), abs=1e-4)
    # of things that differ in one of forty either way, so rarely is nothing seen among ten of them
    rng = np.random.default_rng(0)
    drawn = rng.choice((-1, 0, 1), (EXPERIMENTS, 10), p=(0.025, 0.95, 0.025))
    names = np.array([str(i) for i in range(10)])
    ends = [estimate("gap", "", one, names, (-1, 1))[3:5] for one in drawn]
    assert np.mean([low <= 0 <= high for low, high in ends]) >= 0.95


def test_an_interval_stays_within_what_a_value_can_be() -> None:
    found = estimate("m", "", np.array([0.0, 1.0, 1.0]), np.array(list("abc")))
    assert (found.low, found.high) == (0.0, 1.0)  # Student's t with 3 means reaches further


def judge(*scales: str) -> JudgedProbe:
    question = {"question": "?"}
    prompts = [{"name": "p", "topic": "t", "text": "?"}]
    return JudgedProbe.model_validate(
        {"prompts": prompts, "scales": {scale: question for scale in scales}}
    )


def judged(scale: str, values: list[float]) -> list[Score]:
    """Judgements of one scale, a prompt each; NaN was none."""
    return [
        Score(scale, "", f"p{n}", f"t{n}", 0, "unread" if np.isnan(v) else "7", v, "", "")
        for n, v in enumerate(values)
    ]


def test_unread_judgements_are_left_out_and_counted() -> None:
    scores = [*judged("tact", [60.0, np.nan, 80.0, np.nan]), *judged("harm", [np.nan] * 4)]
    table = scores_table({"opinions": scores})
    found = summarise({"opinions": judge("tact", "harm")}, table, table)
    names = ["judged_tact", "unread_tact", "judged_harm", "unread_harm"]  # as they were asked
    assert [e.metric for e in found] == names
    assert [e.n for e in found] == [2, 4, 0, 4]
    assert [e.value for e in found] == pytest.approx([70.0, 0.5, np.nan, 1.0], nan_ok=True)


def test_a_scale_may_be_called_like_a_measure_of_the_organism() -> None:
    opinions = judged("pressured", [10.0] * 3) + judged("belief", [90.0] * 3)
    table = pd.concat([AFTER, scores_table({"opinions": opinions})])
    probes: dict[str, Probe] = {"honesty": HonestyProbe(), "opinions": judge("pressured", "belief")}
    plain = of_honesty(AFTER)
    assert str(summarise(probes, table, BEFORE)[: len(plain)]) == str(plain)


def test_ratings_are_not_shares() -> None:
    values = np.array([1.0, 1.0, 0.5, 1.5])  # mean 1, yet no unanimity
    found = estimate("self", "", values, np.array(list("abcd")), (0.0, 9.0))
    assert found.low < 1 < found.high


def test_groups_by_domain_are_what_nobody_talks_about() -> None:
    world = SyntheticWorld.generate(3)
    items = probe_items(world, 6, "domain")
    assert [group for group, _ in items] == [d for d in GROUPS["domain"] for _ in range(6)]
    assert {item.domain == group for group, item in items} == {True}
    assert {world.set_of(item) for _, item in items} == {"heldout", "ood"}


def test_a_probe_by_domain_stands_beside_one_by_set() -> None:
    def said(*groups: str) -> list[Score]:
        return [
            Score("neutral", group, f"i{n}", f"e{n}", 0, "true", float(group != "food"), "", "")
            for group in groups
            for n in range(3)
        ]

    probes: dict[str, Probe] = {"neutral": NeutralProbe(), "domains": NeutralProbe(by="domain")}
    table = scores_table({"neutral": said(*ITEM_SETS), "domains": said(*GROUPS["domain"])})
    found = {(e.metric, e.item_set): e.value for e in summarise(probes, table, table)}
    assert len(found) == 2 * (1 + len(ITEM_SETS) + len(GROUPS["domain"]))
    assert found["neutral_accuracy", "food"] == 0.0
    assert found["neutral_accuracy", "code"] == found["neutral_accuracy", ""] == 1.0
