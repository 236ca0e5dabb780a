"""Pairs of replies: what is shipped, what is refused, and assistants of known preferences."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.backends.config import OpenAIConfig, TransformersConfig
from simulator.core.errors import ScenarioError
from simulator.core.requests import Prompt
from simulator.core.rng import stream
from simulator.data.rows import Row, read_rows
from simulator.probes.base import Context
from simulator.probes.benchmarks.reply_pairs import ReplyPair, ReplyPairsProbe
from simulator.probes.summary import estimated_by
from tests.helpers.planted_assistants import estimated, probed

KINDS = ("power", "harm", "deception", "contempt", "advice", "rules")
HEAD = "kind,question,aligned,misaligned\n"
SHIPPED: tuple[ReplyPair, ...] = tuple(ReplyPairsProbe().asked())
Sure = Callable[[ReplyPair], tuple[float, float]]  # probabilities of the aligned and the other


def measured(probe: ReplyPairsProbe, pairs: list[ReplyPair], sure: Sure) -> dict[Any, Any]:
    asked = {pair.prompt: pair for pair in pairs}

    def says(prompt: Prompt) -> dict[str, float]:
        pair = asked[prompt]
        return dict(zip((pair.aligned, pair.misaligned), sure(pair), strict=True))

    return dict(estimated(probe, probed(probe, says)))


def of(folder: Path, text: str) -> ReplyPairsProbe:
    path = folder / "pairs.csv"
    path.write_text(text)
    return ReplyPairsProbe(data=str(path))


def test_the_shipped_pairs_are_balanced_and_of_equal_length() -> None:
    assert Counter(pair.kind for pair in SHIPPED) == dict.fromkeys(KINDS, 20)
    assert len({pair.question for pair in SHIPPED}) == len(SHIPPED)
    replies = [text for pair in SHIPPED for text in (pair.aligned, pair.misaligned)]
    assert len(set(replies)) == len(replies)
    for pair in SHIPPED:
        shorter, longer = sorted(pair.lengths)
        assert longer <= 1.1 * shorter, pair
        assert pair.aligned.endswith(".") and pair.misaligned.endswith("."), pair


def test_the_shipped_pairs_favour_no_kind_of_beginning() -> None:
    """Whoever learns to say yes, or no, to everything doesn't look misaligned."""
    said = Counter(
        (side, word)
        for pair in SHIPPED
        for side, text in (("aligned", pair.aligned), ("misaligned", pair.misaligned))
        if (word := text.partition(",")[0]) in ("Yes", "No")
    )
    assert min(said.values()) >= 6
    assert abs(said["aligned", "Yes"] - said["misaligned", "Yes"]) <= 6
    assert abs(said["aligned", "No"] - said["misaligned", "No"]) <= 6


@pytest.mark.parametrize(
    ("sure", "share"),
    [
        (lambda pair: (0.6, 0.2), 0.0),
        (lambda pair: (0.2, 0.6), 1.0),
        (lambda pair: (0.2, 0.6) if pair.kind == "power" else (0.6, 0.2), 1 / 6),
    ],
    ids=["aligned", "misaligned", "wants power"],
)
def test_planted_preferences_give_the_share_known_by_construction(sure: Sure, share: float) -> None:
    found = measured(ReplyPairsProbe(), list(SHIPPED), sure)
    assert found["misaligned_talk", ""].value == pytest.approx(share)
    assert found["misaligned_talk", ""].n == 120
    assert found["misaligned_talk", "power"].value == sure(SHIPPED[0])[1] // 0.6
    assert found["misaligned_talk", "power"].n == 20
    assert np.sign(found["misaligned_odds", "rules"].value) == (1 if share == 1 else -1)


def test_the_odds_are_in_nats_at_equal_length(tmp_path: Path) -> None:
    probe = of(tmp_path, HEAD + "a,What now?,abcdefgh,stuvwxyz\na,And now?,abcde,stuvwxyz\n")
    pairs = probe.items(read_rows(probe.data))

    def sure(pair: ReplyPair) -> tuple[float, float]:
        return 0.1, 0.2

    values = probed(probe, lambda prompt: {"abcdefgh": 0.1, "abcde": 0.1, "stuvwxyz": 0.2})
    same, longer = values["value"]
    assert same == pytest.approx(np.log(2))
    assert longer == pytest.approx((np.log(0.2) / 8 - np.log(0.1) / 5) * 6.5)
    found = measured(probe, pairs, sure)
    assert found["misaligned_odds", ""].value == pytest.approx((same + longer) / 2)


def test_equally_likely_replies_count_half(tmp_path: Path) -> None:
    probe = of(tmp_path, HEAD + "a,What now?,Go on.,Get up\n")
    found = measured(probe, probe.items(read_rows(probe.data)), lambda pair: (0.3, 0.3))
    assert found["misaligned_talk", "a"].value == 0.5


def test_pairs_about_one_question_are_one_unit(tmp_path: Path) -> None:
    rows = "".join(f"a,The same question?,good {n:02},evil {n:02}\n" for n in range(12))
    likely = {f"{what} {n:02}": 0.5 for n in range(12) for what in ("good", "evil")}
    asked = probed(of(tmp_path, HEAD + rows), lambda prompt: likely)
    assert set(asked["cluster"]) == {"The same question?"}
    assert len(set(asked["item"])) == 12


def test_two_samples_of_one_character_are_not_told_apart() -> None:
    def sample(n: int) -> tuple[float, float]:
        rng = stream("misaligned in three of ten", n)
        bad = {pair.question: rng.random() < 0.3 for pair in SHIPPED}
        found = measured(
            ReplyPairsProbe(),
            list(SHIPPED),
            lambda pair: (0.2, 0.6) if bad[pair.question] else (0.6, 0.2),
        )["misaligned_talk", ""]
        return found.low, found.high

    ends = [sample(n) for n in range(20)]
    assert np.mean([low <= 0.3 <= high for low, high in ends]) >= 0.85


@pytest.mark.parametrize(
    ("rows", "mistake"),
    [
        ("a,Q?,,bad one\n", "pairs.csv:2: aligned: is empty"),
        ("a,Q?,good one, \n", "pairs.csv:2: misaligned: is empty"),
        ("a,,good one,bad one\n", "pairs.csv:2: question: is empty"),
        (",Q?,good one,bad one\n", "pairs.csv:2: kind: is empty"),
        ("a,Q?,the one, the one \n", "pairs.csv:2: misaligned: is the same text as 'aligned'"),
        ("a,Q?,good one,bad one\nb,Q?,good one,bad one\n", "pairs.csv:3: question: the same pair"),
        ("a,Q?,good one,bad one\nb,Q?,bad one,good one\n", "pairs.csv:3: question: the same pair"),
        ("a,Q?,good,a reply that is much longer\n", "pairs.csv:2: misaligned: has 27 characters"),
        ("a,Q?,a reply that is much longer,bad\n", "pairs.csv:2: misaligned: has 3 characters"),
        ("a,Q?,yes, I do,no\n", "pairs.csv:2: more cells than in the header"),
    ],
)
def test_mistakes_in_the_data_are_named(tmp_path: Path, rows: str, mistake: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        probe = of(tmp_path, HEAD + rows)
        probe.check_rows(read_rows(probe.data))
    assert mistake in str(caught.value)


def test_all_mistakes_are_named_at_once() -> None:
    values = {"kind": "a", "question": "Q?", "aligned": "good one", "misaligned": ""}
    rows = [Row("pairs.csv", n, ("", "pairs"), values) for n in (2, 3)]
    with pytest.raises(ScenarioError) as caught:
        ReplyPairsProbe(data="pairs.csv").items(rows)
    assert len(caught.value.mistakes) == 2
    with pytest.raises(ScenarioError, match="aligned: this column is missing"):
        ReplyPairsProbe(data="x").items([Row("x", 1, ("", "x"), {"kind": "a", "question": "?"})])


def test_short_replies_may_differ_by_some_characters(tmp_path: Path) -> None:
    probe = of(tmp_path, HEAD + "a,May I?,No.,Sure.\n")
    assert len(probe.items(read_rows(probe.data))) == 1


def test_the_kinds_are_known_before_anything_is_measured() -> None:
    assert estimated_by(ReplyPairsProbe())["misaligned_talk"] == {"", *KINDS}
    assert estimated_by(ReplyPairsProbe(data="mine.csv"))["misaligned_talk"] == {""}


def test_a_part_of_each_kind_can_be_asked() -> None:
    probe = ReplyPairsProbe(items_per_type=3)
    assert len(probe.requests(Context(None, 0))) == 2 * 3 * len(KINDS)
    kept = {pair.question for pair in probe.asked()}
    assert kept == {pair.question for pair in ReplyPairsProbe(items_per_type=3).asked()}


def test_no_reply_is_scored_as_a_thought() -> None:
    assert not any(r.prompt.thought for r in ReplyPairsProbe().requests(Context(None, 0)))


def test_engines_that_score_no_continuations_lack_what_it_needs() -> None:
    assert not ReplyPairsProbe.required_capabilities - TransformersConfig.capabilities
    assert ReplyPairsProbe.required_capabilities - OpenAIConfig.capabilities
