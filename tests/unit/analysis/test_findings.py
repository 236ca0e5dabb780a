"""Findings on results with known answers, and what they read of real runs."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from analysis.studies.findings import AnyFinding, Finding, judged
from analysis.studies.quantities import Measure, Quantity, Results
from simulator.store.run import Run
from simulator.store.sweep import Member, Sweep
from tests.conftest import plant
from tests.helpers.simulated_results import Simulated

ADAPTER: TypeAdapter[Finding] = TypeAdapter(AnyFinding)
EXPERIMENTS = 600


def finding(kind: str, **settings: Any) -> Finding:
    return ADAPTER.validate_python({"claim": "c", "reported": "r", "kind": kind, **settings})


def quantity(arm: str, metric: str = "honesty") -> dict[str, Any]:
    return {"arm": arm, "metric": metric}


def compared(kind: str = "contrast", **settings: Any) -> Finding:
    return finding(kind, a=quantity("a"), b=quantity("b"), **settings)


LOW, HIGH, MIXED = [0.30, 0.33, 0.31], [0.80, 0.85, 0.79], [0.2, 0.9, 0.5]


@pytest.mark.parametrize(
    ("a", "b", "expected", "holds"),
    [
        (LOW, HIGH, "lower", "yes"),
        (LOW, HIGH, "higher", "opposite"),
        (HIGH, LOW, "higher", "yes"),
        (MIXED, LOW, "higher", "not shown"),
        (LOW, LOW, "lower", "not shown"),
        (LOW[:1], HIGH[:1], "lower", "not shown"),  # one base, asked about one thing
    ],
)
def test_contrasts(a: list[float], b: list[float], expected: str, holds: str) -> None:
    found = judged(compared(expected=expected), Simulated({"a": a, "b": b}))
    assert found.holds == holds
    assert found.interval is not None
    assert found.interval.value == pytest.approx(np.mean(a) - np.mean(b))


def test_a_contrast_by_hand() -> None:
    found = judged(compared(expected="lower"), Simulated({"a": LOW, "b": HIGH}))
    low, high = stats.ttest_rel(LOW, HIGH).confidence_interval(0.95)
    assert found.interval is not None
    assert found.interval[1:3] == pytest.approx((low, high))
    assert found.measured == "31 % against 81 %: −50 points [−55 to −45] (3 bases)"


def test_several_quantities_are_averaged() -> None:
    both = finding("contrast", a=[quantity("a"), quantity("b")], b=quantity("c"), expected="higher")
    results = Simulated({"a": LOW, "b": HIGH, "c": [0.1, 0.12, 0.11]})
    found = judged(both, results)
    assert found.holds == "yes" and found.interval is not None
    assert found.interval.value == pytest.approx(np.mean([LOW, HIGH]) - 0.11)


def test_one_base_is_measured_by_what_it_was_asked_about() -> None:
    rng = np.random.default_rng(1)
    answers = {"a": rng.binomial(6, 0.3, (1, 24)) / 6, "b": rng.binomial(6, 0.8, (1, 24)) / 6}
    found = judged(compared(expected="lower"), Simulated(answers))
    assert found.holds == "yes, in one run" and found.interval is not None
    assert found.interval.units == 24 and "(1 base, over 24 subjects" in found.measured
    alone = judged(compared(expected="lower"), Simulated({"a": [0.3], "b": [0.8]}))
    assert alone.interval is not None and np.isnan(alone.interval.low)
    assert "no interval" in alone.note


def test_that_all_agree_shows_no_more_than_their_number() -> None:
    agreed = Simulated({"a": np.ones((1, 24)), "b": np.ones((1, 24))})
    assert judged(compared("equivalence", within=0.03), agreed).holds == "not shown"
    assert judged(compared("equivalence", within=0.2), agreed).holds == "yes, in one run"
    assert judged(compared(expected="lower"), agreed).holds == "not shown"


def test_what_is_missing_is_said() -> None:
    found = judged(compared(expected="lower"), Simulated({"a": LOW}))
    assert (found.holds, found.note, found.interval) == ("not measured", "there is no b", None)


@pytest.mark.parametrize(
    ("a", "holds"),
    [
        ([0.80, 0.85, 0.80], "yes"),
        (LOW, "opposite"),
        ([0.9, 0.7, 0.9], "not shown"),
    ],
)
def test_equivalences(a: list[float], holds: str) -> None:
    assert (
        judged(compared("equivalence", within=0.03), Simulated({"a": a, "b": HIGH})).holds == holds
    )


POINTS = [quantity(f"p{n}") for n in range(4)]
FALLING = {f"p{n}": [0.9 - 0.1 * n, 0.85 - 0.12 * n, 0.88 - 0.15 * n] for n in range(4)}


def test_trends() -> None:
    falls, rises = (finding("trend", points=POINTS, expected=e) for e in ("lower", "higher"))
    assert judged(falls, Simulated(FALLING)).holds == "yes"
    assert judged(rises, Simulated(FALLING)).holds == "opposite"
    flat = {"p0": [0.5, 0.6], "p1": [0.6, 0.5], "p2": [0.5, 0.6], "p3": [0.6, 0.5]}
    assert judged(falls, Simulated(flat)).holds == "not shown"
    alone = judged(falls, Simulated({name: values[:1] for name, values in FALLING.items()}))
    assert alone.holds == "not shown" and "over several" in alone.note
    assert judged(falls, Simulated({"p0": LOW})).holds == "not measured"


def test_a_trend_and_its_interval_are_of_the_same_bases() -> None:
    """The last base lacks a point between, and would turn the difference round."""
    points = {name: [*values, 0.0] for name, values in FALLING.items()}
    points |= {"p3": [*FALLING["p3"], 9.0], "p1": FALLING["p1"]}
    falls = finding("trend", points=POINTS, expected="lower")
    found = judged(falls, Simulated(points))
    assert found == judged(falls, Simulated(FALLING)) and found.holds == "yes"


def test_correlations() -> None:
    rng = np.random.default_rng(2)
    x = rng.random((3, 12))
    together = {"x": x, "y": x + rng.normal(0, 0.1, x.shape)}
    settings = {"arms": ["a"], "x": {"metric": "x"}, "y": {"metric": "y"}}
    found = judged(finding("correlation", **settings), Simulated(together))
    expected = [stats.spearmanr(*pair).statistic for pair in zip(*together.values(), strict=True)]
    assert found.holds == "yes" and found.interval is not None
    assert found.interval.value == pytest.approx(np.mean(expected))
    mixed = Simulated({"x": x, "y": np.vstack([together["y"][:2], -together["y"][2:]])})
    wide = judged(finding("correlation", **settings), mixed)
    assert "[−1.00 to 1.00]" in wide.measured and wide.holds == "not shown"
    against = Simulated({"x": x, "y": -together["y"]})
    assert judged(finding("correlation", **settings), against).holds == "opposite"
    unrelated = Simulated({"x": x, "y": rng.random((3, 12))})
    assert judged(finding("correlation", **settings), unrelated).holds == "not shown"
    still = judged(finding("correlation", **settings), Simulated({"x": x, "y": np.ones((3, 12))}))
    assert still.holds == "not measured" and "never changes" in still.note


def test_pairs_of_items() -> None:
    rng = np.random.default_rng(3)
    before = rng.random((2, 15))
    after = before - 0.2 + rng.normal(0, 0.1, before.shape)
    results = Simulated({"a": after, "b": before})
    found = judged(compared("paired", expected="lower"), results)
    p = max(stats.wilcoxon(differences).pvalue for differences in after - before)
    assert found.holds == "yes" and p < 0.001 and "largest p < .001 (2 bases)" in found.measured
    assert judged(compared("paired", expected="higher"), results).holds == "opposite"
    same = judged(compared("paired", expected="lower"), Simulated({"a": before, "b": before}))
    assert same.holds == "not shown"
    apart = Simulated({"a": np.array([after[0], before[1] + 0.2]), "b": before})
    assert judged(compared("paired", expected="lower"), apart).holds == "not shown"
    noise = Simulated({"a": before + rng.normal(0, 0.2, before.shape), "b": before})
    assert judged(compared("paired", expected="lower"), noise).holds == "not shown"


def nulls(rng: np.random.Generator) -> list[tuple[Finding, Simulated]]:
    """One experiment in which nothing is the case, per kind of finding that tests a direction."""
    shared = rng.normal(0, 0.05, (3, 1))
    arms = shared + rng.normal(0, 0.04, (3, 6))
    correlated = {"arms": ["a"], "x": {"metric": "x"}, "y": {"metric": "y"}}
    asked = {name: rng.binomial(6, 0.5, (3, 20)) / 6 for name in "ab"}
    asked["a"] = asked["a"] + rng.normal(0, 0.1, (3, 1))  # bases differ, about nothing
    return [
        (compared(expected="lower"), Simulated({"a": arms[:, 0], "b": arms[:, 1]})),
        (compared("paired", expected="lower"), Simulated(asked)),
        (
            finding("trend", points=POINTS, expected="lower"),
            Simulated({f"p{n}": arms[:, n] for n in range(4)}),
        ),
        (
            finding("correlation", **correlated),
            Simulated({name: rng.random((3, 8)) for name in "xy"}),
        ),
        *coarse_nulls(rng),
    ]


def coarse_nulls(rng: np.random.Generator) -> list[tuple[Finding, Simulated]]:
    """The same of two replicates whose values are shares of few answers: they often coincide."""
    correlated = {"arms": ["a"], "x": {"metric": "x"}, "y": {"metric": "y"}}
    rare = {name: rng.binomial(1, 0.1, (2, 24)).astype(float) for name in "ab"}
    return [
        (compared(expected="higher"), Simulated(rare)),
        (
            finding("correlation", **correlated),
            Simulated({name: rng.random((2, 3)) for name in "xy"}),
        ),
    ]


def test_nothing_is_shown_of_a_null_more_often_than_agreed() -> None:
    rng = np.random.default_rng(4)
    counts: dict[str, list[str]] = {}
    for _ in range(EXPERIMENTS):
        for number, (one, results) in enumerate(nulls(rng)):
            counts.setdefault(f"{one.kind} {number}", []).append(judged(one, results).holds)
    assert len(counts) == 6
    for kind, verdicts in counts.items():
        shown = np.mean([verdict != "not shown" for verdict in verdicts])
        assert shown <= 0.075, kind
        assert np.mean([verdict == "yes" for verdict in verdicts]) <= 0.05, kind


def test_a_margin_that_is_just_exceeded_seldom_seems_kept() -> None:
    rng = np.random.default_rng(5)
    one = compared("equivalence", within=0.03)
    kept = 0
    for _ in range(EXPERIMENTS):
        b = rng.normal(0.5, 0.05, 3)
        kept += judged(one, Simulated({"a": b + rng.normal(0.03, 0.01, 3), "b": b})).holds == "yes"
    assert kept / EXPERIMENTS <= 0.05


# What is read of runs


@pytest.fixture(scope="module")
def sweep(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Two arms on two bases of two seeds; honesty is planted, and one run isn't finished."""
    root = tmp_path_factory.mktemp("studies")
    members = []
    for arm, base, seed in [(a, b, s) for a in ("low", "high") for b in (1, 2) for s in (0, 1)]:
        run = Run(Path(shutil.copytree(tiny_run.path, root / "runs" / f"{arm}-{base}-{seed}")))
        honesty = 0.3 + 0.02 * base + 0.01 * seed
        if arm == "high":  # by unlike amounts
            honesty += 0.5 + 0.001 * base + 0.002 * seed
        plant(run, base, seed, 0.5, honesty, 0.5)
        members.append(Member(arm, {"base": base, "seed": seed}, 2, run))
    lacking = Member("high", {"base": 3, "seed": 0}, 2, Run(root / "runs" / "none"))
    return Sweep.write(root / "planted", [*members, lacking])


def test_seeds_are_averaged_within_bases(sweep: Sweep) -> None:
    results = Results(sweep)
    low = Quantity(arm="low", metric="honesty", item_set="ood")
    assert results.by_replicate((low,)) == pytest.approx({"organism:1": 0.325, "organism:2": 0.345})
    one = low.model_copy(update={"where": {"seed": 1}})
    assert results.by_replicate((one,)) == pytest.approx({"organism:1": 0.33, "organism:2": 0.35})
    sets = low.model_copy(update={"item_set": ("used", "ood")})
    assert results.by_replicate((sets,)) == results.by_replicate((low,))
    change = low.model_copy(update={"from_start": True})  # round 0 was planted, too
    assert set(results.by_replicate((change,)).values()) == {0.0}


def test_runs_of_one_base_are_replicates_by_their_seeds(sweep: Sweep) -> None:
    one = sweep._replace(members=tuple(m for m in sweep.members if m.settings["base"] == 1))
    results = Results(one)
    low = Quantity(arm="low", metric="honesty", item_set="heldout")
    assert results.by_replicate((low,)) == pytest.approx({"0": 0.32, "1": 0.33})
    a, b = ({**quantity(arm), "item_set": "heldout"} for arm in ("low", "high"))
    found = judged(finding("contrast", a=a, b=b, expected="lower"), results)
    assert found.holds == "yes" and "(2 runs)" in found.measured
    single = one._replace(members=tuple(m for m in one.members if m.settings["seed"] == 1))
    alone = judged(finding("contrast", a=a, b=b, expected="lower"), Results(single))
    assert alone.replicates == 1 and alone.holds in ("yes, in one run", "not shown")


def test_runs_are_compared_with_their_twins(sweep: Sweep) -> None:
    """A seed that one arm lost, as it diverged, is no part of the other arm's mean."""
    lost = Run(Path("nowhere"))
    members = [
        member._replace(run=lost) if (member.arm, *member.settings.values()) == lacking else member
        for lacking in [("high", 2, 0)]
        for member in sweep.members
    ]
    results = Results(sweep._replace(members=tuple(members)))
    low, high = (Quantity(arm=arm, metric="honesty", item_set="heldout") for arm in ("low", "high"))
    assert results.gaps((high,), (low,)) == pytest.approx(
        {"organism:1": 0.502, "organism:2": 0.504}
    )
    assert results.by_replicate((low,), (high,))["organism:2"] == pytest.approx(0.35)
    assert results.by_replicate((low,))["organism:2"] == pytest.approx(0.345)


def test_findings_are_read_off_runs(sweep: Sweep) -> None:
    a, b = ({**quantity(arm), "item_set": "heldout"} for arm in ("low", "high"))
    found = judged(finding("contrast", a=a, b=b, expected="lower"), Results(sweep))
    assert found.holds == "yes" and found.interval is not None and found.interval.units == 2
    for missing, told in (
        ({"metric": "em_rate"}, "em_rate heldout has no value"),
        ({"arm": "nobody"}, "no run in this tier of 'nobody'"),
        ({"where": {"seed": 7}}, "no run in this tier of 'low', seed 7"),
        ({"phase": "realign"}, "called 'realign'"),
        ({"arm": "high", "where": {"base": 3}}, "no finished run of 'high', base 3"),
        ({"round": 9}, "has 2 rounds, not 9"),
    ):
        lacking = judged(
            finding("contrast", a={**a, **missing}, b=b, expected="lower"), Results(sweep)
        )
        assert lacking.holds == "not measured" and told in lacking.note


def test_a_metrics_units_are_what_its_probe_says_of_each(tiny_run: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "runs" / "one")))
    sweep = Sweep.write(tmp_path / "alone", [Member("only", {"base": 0}, 2, run)])
    results = Results(sweep)
    for metric, item_set in (
        ("honesty", "heldout"), ("neutral_accuracy", "ood"), ("belief", ""),
        ("misaligned_talk", ""), ("self_harmful", ""),
    ):  # fmt: skip
        asked = Quantity(arm="only", metric=metric, item_set=item_set)
        (by_item,) = results.by_unit((asked,), "item").values()
        (whole,) = results.by_replicate((asked,)).values()
        assert len(by_item) > 1
        assert by_item.mean() == pytest.approx(whole)  # every item is asked about equally often
    measure = Measure(metric="belief")
    assert len(results.checkpoints("only", measure, ends=False)["0"]) == 3
    assert len(results.checkpoints("only", measure, ends=True)["0"]) == 2
    gap = Quantity(arm="only", metric="conversation_gap")
    assert results.by_unit((gap,), "cluster")["0"].empty  # no probe's own
