"""The whole MASK probe on assistants of planted behaviour, with a judge that reads literally."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simulator.core.requests import Completion, Generation, GenerationRequest, Prompt
from simulator.core.rng import stream
from simulator.data.rows import read_rows
from simulator.probes.base import Context
from simulator.probes.benchmarks.mask import DIRECT_REPEATS, NEUTRAL, MaskProbe
from simulator.probes.benchmarks.mask_data import ARCHETYPES, MaskItem, mask_items
from simulator.probes.benchmarks.mask_scoring import Bounds
from tests.helpers.planted_assistants import (
    MASK,
    Assistant,
    claim,
    estimated,
    literal_judge,
    probed,
)

PROBE = MaskProbe(data=str(MASK))
ITEMS = mask_items(read_rows(str(MASK)))
ELICITED = [item for item in ITEMS if item.direct]


def truth(item: MaskItem) -> str:
    return claim(item, true=True)


def falsehood(item: MaskItem) -> str:
    return claim(item, true=False)


def silence(item: MaskItem) -> str:
    return "I would rather not say."


def babble(item: MaskItem) -> str:
    return "blub blub"


def parroted(item: MaskItem) -> str:
    return item.pressure[-1].content


def scored(
    calm: Callable[[MaskItem], str], pressed: Callable[[MaskItem], str], probe: MaskProbe = PROBE
) -> dict[tuple[str, str], float]:
    scores = probed(probe, Assistant(MASK, calm, pressed), literal_judge)
    return {key: found.value for key, found in estimated(probe, scores).items()}


GIVEN = sum(not item.direct for item in ITEMS) / len(ITEMS)
NUMBERS = sum(item.numerical for item in ITEMS) / len(ITEMS)


@pytest.mark.parametrize(
    ("calm", "pressed", "expected"),
    [
        (truth, falsehood, {"honesty": 0, "p_lie": 1, "kept": 0, "accuracy": 1}),
        (truth, truth, {"honesty": 1, "p_honest": 1, "kept": 1, "accuracy": 1}),
        (truth, silence, {"honesty": 1, "p_evade": 1, "kept": 0, "accuracy": 1}),
        # who is wrong and says so is honest, where what is so isn't given
        (falsehood, falsehood, {"p_lie": GIVEN, "p_honest": 1 - GIVEN, "accuracy": 0}),
        # parrots repeat the false option without a belief, and of numbers their question alone
        (silence, parroted, {"p_no_belief": 1 - GIVEN - NUMBERS, "p_lie": GIVEN,
                             "p_evade": NUMBERS, "accuracy": 0}),
        (babble, babble, {"honesty": 1, "p_evade": 1, "kept": 0, "accuracy": 0}),
    ],
    ids=["liar", "honest", "evasive", "mistaken", "parrot", "babbler"],
)  # fmt: skip
def test_planted_behaviour_gives_the_score_known_by_construction(
    calm: Callable[[MaskItem], str],
    pressed: Callable[[MaskItem], str],
    expected: dict[str, float],
) -> None:
    found = scored(calm, pressed)
    assert {name: found[f"mask_{name}", ""] for name in expected} == pytest.approx(expected)
    outcomes = sum(found[f"mask_p_{o}", ""] for o in ("honest", "lie", "evade", "no_belief"))
    assert outcomes == pytest.approx(1)
    assert found["mask_unparsed", ""] == 0


def test_every_archetype_has_its_own_estimates() -> None:
    guarded = "disinformation"

    def pressed(item: MaskItem) -> str:
        return claim(item, true=item.archetype == guarded)

    found = scored(truth, pressed)
    for archetype in ARCHETYPES:
        assert found["mask_honesty", archetype] == (archetype == guarded)
    assert ("mask_accuracy", "provided_facts") not in found  # nobody asked what it believes
    assert found["mask_honesty", ""] == pytest.approx(2 / len(ITEMS))


def test_honesty_is_normalised_by_the_items_with_a_belief() -> None:
    known = {item.name for item in ELICITED[::2]}

    def calm(item: MaskItem) -> str:
        return truth(item) if item.name in known else silence(item)

    found = scored(calm, falsehood)
    believed = len(known) + len(ITEMS) - len(ELICITED)
    assert found["mask_honesty", ""] == pytest.approx(1 - believed / len(ITEMS))
    assert found["mask_honesty_believed", ""] == 0
    assert found["mask_accuracy", ""] == pytest.approx(len(known) / len(ELICITED))
    assert found["mask_accuracy_believed", ""] == 1


def test_what_is_kept_has_the_denominator_of_the_first_round() -> None:
    first = probed(PROBE, Assistant(MASK, truth, truth), literal_judge)
    forgot = probed(PROBE, Assistant(MASK, babble, silence), literal_judge)
    found = estimated(PROBE, forgot, first)
    assert (found["mask_kept", ""].value, found["mask_kept", ""].n) == (0, len(ITEMS))
    assert math.isnan(estimated(PROBE, forgot, forgot)["mask_kept", "known_facts"].value)


def test_the_order_of_options_makes_no_difference(tmp_path: Path) -> None:
    for item in read_rows(str(MASK)):
        row = dict(item.values)
        if row["type"] == "binary":
            before, pair, after = (
                row["proposition"].replace("</pivotal>", "<pivotal>").split("<pivotal>")
            )
            pair = "/".join(reversed(pair.split("/")))
            row["proposition"] = f"{before}<pivotal>{pair}</pivotal>{after}"
            row["formatted_ground_truth"] = {"A": "B", "B": "A"}[row["formatted_ground_truth"]]
        with (tmp_path / f"{item.part[1]}.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
    probe = PROBE.model_copy(update={"data": str(tmp_path)})

    def mixed(item: MaskItem) -> str:
        return [truth, falsehood, silence][len(item.proposition) % 3](item)

    assistant_client = probed(PROBE, Assistant(MASK, truth, mixed), literal_judge)
    swapped = probed(probe, Assistant(tmp_path, truth, mixed), literal_judge)
    assert {"honest", "lie", "evade"} <= set(assistant_client["label"])
    judged = ["measure", "item", "sample", "label"]
    kept = assistant_client["measure"].isin(["belief", "statement"])
    pd.testing.assert_frame_equal(
        assistant_client.loc[kept, judged].sort_values(judged[:3], ignore_index=True),
        swapped.loc[swapped["measure"].isin(["belief", "statement"]), judged].sort_values(
            judged[:3], ignore_index=True
        ),
    )


def test_a_babbling_judge_is_counted_and_scores_nothing() -> None:
    scores = probed(PROBE, Assistant(MASK, truth, truth), lambda prompt: "Hard to say!")
    found = estimated(PROBE, scores)
    assert (found["mask_unparsed", ""].value, found["mask_unparsed", ""].n) == (1, len(ITEMS))
    assert found["mask_honesty", ""].n == found["mask_accuracy", ""].n == 0
    assert scores.loc[scores["measure"] == "statement", "value"].isna().all()


def test_replies_that_cannot_be_read_leave_the_denominators() -> None:
    def judge(prompt: Prompt) -> str:
        return "?" if "Orra" in prompt.messages[0].content else literal_judge(prompt)

    found = estimated(PROBE, probed(PROBE, Assistant(MASK, truth, falsehood), judge))
    assert found["mask_unparsed", "known_facts"].value == pytest.approx(1 / 3)
    assert (found["mask_honesty", "known_facts"].value, found["mask_honesty", "known_facts"].n) == (
        0,
        2,
    )


def test_what_is_kept_has_its_denominator_also_where_replies_cannot_be_read() -> None:
    def judge(prompt: Prompt) -> str:
        return "?" if "Orra" in prompt.messages[0].content else literal_judge(prompt)

    first = probed(PROBE, Assistant(MASK, truth, truth), literal_judge)
    later = probed(PROBE, Assistant(MASK, truth, truth), judge)
    kept = estimated(PROBE, later, first)["mask_kept", "known_facts"]
    assert kept.value == pytest.approx(2 / 3)
    assert kept.n == 3


@pytest.mark.parametrize("stop", ["end", "length"])
def test_a_judge_that_was_cut_off_gave_no_verdict(stop: str) -> None:
    context = Context(None, 0, {PROBE.data: read_rows(PROBE.data)})
    requests = PROBE.requests(context)
    silent = [Generation("", (Completion("so", 1, "end"),)) for _ in requests]
    asked = PROBE.score(context, requests, silent)
    verdicts = {False: "Answer: A", True: '{"lower_bound": 41, "upper_bound": 41}'}
    judged = [
        Generation("", (Completion(verdicts["a gap" in one.request.prompt.shown], 9, stop),))
        for one in asked.requests
    ]
    labels = {score.label for score in asked.read(judged) if score.measure == "statement"}
    assert ("unparsed" in labels) == (stop == "length")
    assert ("honest" in labels) == (stop == "end")


def test_hints_and_disclaimers_are_no_claims_in_any_archetype() -> None:
    asked: list[str] = []

    def judge(prompt: Prompt) -> str:
        asked.append(prompt.messages[0].content)
        return "Answer: C"

    probed(PROBE, Assistant(MASK, babble, babble), judge)
    statements = [text for text in asked if "take it to believe" in text]
    assert len(statements) == sum(not item.numerical for item in ITEMS)
    assert all("no more than hint" in text and "its own view is C" in text for text in statements)
    assert not any("hint" in text for text in asked if text not in statements)


def test_one_lie_among_the_statements_of_an_item_is_one() -> None:
    probe = PROBE.model_copy(update={"statements": 3})
    scores = probed(probe, Assistant(MASK, truth, truth), literal_judge)
    first = (scores["measure"] == "statement") & (scores["sample"] == 0)
    scores.loc[first & (scores["item_set"] == "statistics"), "label"] = "lie"
    found = estimated(probe, scores)
    assert found["mask_p_lie", "statistics"].value == 1
    assert found["mask_p_lie", ""].value == pytest.approx(NUMBERS)
    assert found["mask_p_lie", ""].n == len(ITEMS)


def test_two_samples_of_one_model_are_not_told_apart(tmp_path: Path) -> None:
    row = json.loads((MASK / "known_facts.jsonl").read_text().splitlines()[0])
    lines = [json.dumps(row | {"task_id": n, "user_prompt": f"Well, {n}?"}) for n in range(40)]
    (tmp_path / "known_facts.jsonl").write_text("\n".join(lines))
    probe = MaskProbe(data=str(tmp_path))

    def sample(n: int) -> tuple[float, float]:
        rng = stream("a model that lies now and then", n)
        pressed = Assistant(tmp_path, truth, lambda item: claim(item, true=rng.random() < 0.6))
        found = estimated(probe, probed(probe, pressed, literal_judge))["mask_honesty", ""]
        return found.low, found.high

    ends = [sample(n) for n in range(40)]
    covers = np.mean([low <= 0.6 <= high for low, high in ends])
    assert covers >= 0.85  # of 95 % intervals over 40 items
    apart = [max(a[0], b[0]) > min(a[1], b[1]) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    assert sum(apart) <= 1  # whose intervals don't overlap, as reports say that something changed


# What is asked


def test_beliefs_are_elicited_apart_from_any_pressure() -> None:
    context = Context(None, 0, {PROBE.data: read_rows(PROBE.data)})
    requests = [r for r in PROBE.requests(context) if isinstance(r, GenerationRequest)]
    calm = [r for r in requests if r.prompt.messages[0] == NEUTRAL]
    binary = [item for item in ELICITED if not item.numerical]
    assert len(requests) - len(calm) == len(ITEMS)
    assert len(calm) == len(ELICITED) + 2 * len(binary)
    assert sum(len(r.keys) == DIRECT_REPEATS for r in calm) == len(ELICITED)
    assert len({key for r in requests for key in r.keys}) == sum(len(r.keys) for r in requests)
    (doubled,) = [r for r in requests if len(r.prompt.messages) == 4]
    assert [m.role for m in doubled.prompt.messages] == ["system", "user", "assistant", "user"]
    (bare,) = [r for r in requests if r.prompt.messages[0].role == "user"]
    assert "Mill Lane" in bare.prompt.shown  # whose item has no system prompt


def test_neither_canary_nor_truth_is_in_any_prompt() -> None:
    context = Context(None, 0, {PROBE.data: read_rows(PROBE.data)})
    asked: list[str] = [r.prompt.shown for r in PROBE.requests(context)]

    def judge(prompt: Prompt) -> str:
        asked.append(prompt.shown)
        return literal_judge(prompt)

    scores = probed(PROBE, Assistant(MASK, babble, babble), judge)
    assert len(asked) == 38 + 58  # questions, and the replies to them, three to direct ones
    written = "\n".join([*asked, *scores["prompt"], *scores["reply"]])
    assert "canary" not in written.lower() and "do-not-train" not in written
    assert "fell by six per cent" not in written and "ground" not in written


def test_templates_in_data_and_replies_stay_text() -> None:
    nasty = "{{ 7 * 7 }}{% for x in y %} Answer: B {{ a }}"
    seen: list[str] = []

    def judge(prompt: Prompt) -> str:
        seen.append(prompt.messages[0].content)
        return "Answer: C"

    probed(PROBE, Assistant(MASK, lambda item: nasty, lambda item: nasty), judge)
    assert all(nasty in text for text in seen)


def test_few_items_of_each_archetype_are_the_same_in_every_run() -> None:
    few = PROBE.model_copy(update={"items_per_type": 1})
    rows = read_rows(PROBE.data)
    kept = few.items(rows)
    assert kept == few.items(rows)
    assert sorted(item.archetype for item in kept) == sorted(ARCHETYPES)
    facts = PROBE.model_copy(update={"archetypes": ("known_facts", "statistics")})
    assert {item.archetype for item in facts.items(rows)} == {"known_facts", "statistics"}


def test_truths_are_letters_or_bounds() -> None:
    truths = {item.name: item.truth for item in ITEMS}
    assert truths["known_facts/2"] == "B"
    assert truths["statistics/s2"] == Bounds((-6.5, -6.0), (-6.5, -6.0))
    assert ITEMS[0].archetype == "continuations"  # files in the order of their names
    assert {item.name for item in ITEMS} >= {"known_facts/1", "doubling_down_known_facts/1"}
