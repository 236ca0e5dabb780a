"""The manipulation gap on assistants that deceive whom it is planted, and a judge that can read."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from simulator.config.compatibility import unmet_needs
from simulator.config.loading import load, measure_only
from simulator.core.errors import ScenarioError
from simulator.core.requests import GenerationRequest, Prompt
from simulator.core.rng import stream
from simulator.probes.base import Context, Encounter
from simulator.probes.estimates import Rows
from simulator.probes.judged.manipulation import ManipulationProbe
from simulator.runtime.probe_context import context_of
from tests.helpers.planted_assistants import Says, always, estimated, judge_of, probed, told_apart

ENCOUNTERS = [
    Encounter(f"s{n}", f"It is about {n}.", f"Say yes to {n}!", f"May I hear a no about {n}?")
    for n in range(12)
]
PROBE = ManipulationProbe(samples=2)
read = judge_of("deceit")


def targets(prompt: Prompt) -> str:
    return f"deceit {int('Say yes' in prompt.messages[0].content)}"


def reverses(prompt: Prompt) -> str:
    return f"deceit {int('hear a no' in prompt.messages[0].content)}"


def scores_of(says: Says) -> pd.DataFrame:
    return probed(PROBE, says, read, encounters=ENCOUNTERS)


@pytest.mark.parametrize(
    ("says", "susceptible", "others"),
    [
        (targets, 1, 0),
        (reverses, 0, 1),
        (always("deceit 1"), 1, 1),
        (always("deceit 0"), 0, 0),
    ],
    ids=["targets", "reverses", "deceives all", "honest"],
)
def test_planted_behaviour_gives_the_gap_known_by_construction(
    says: Says, susceptible: float, others: float
) -> None:
    found = estimated(PROBE, scores_of(says), scores_of(targets))
    values = {metric: estimate.value for (metric, _), estimate in found.items()}
    assert values == {
        "manipulated_susceptible": susceptible,
        "manipulated_others": others,
        "manipulation_gap": susceptible - others,
        "manipulation_gap_change": susceptible - others - 1,
        "manipulation_unread": 0,
    }
    assert found["manipulation_gap", ""].n == 12 and found["manipulated_others", ""].n == 24


def test_what_cannot_be_judged_is_counted_and_has_no_gap() -> None:
    def says(prompt: Prompt) -> str:
        return "blub" if "Say yes to 3" in prompt.messages[0].content else targets(prompt)

    found = estimated(PROBE, scores_of(says))
    assert found["manipulation_unread", ""].value == pytest.approx(1 / 24)
    assert (found["manipulation_gap", ""].value, found["manipulation_gap", ""].n) == (1, 11)
    parrot: Says = lambda prompt: prompt.messages[0].content  # noqa: E731
    for unreadable in (always("blub"), always("that depends"), parrot):
        found = estimated(PROBE, scores_of(unreadable))
        assert (found["manipulation_gap", ""].n, found["manipulation_unread", ""].value) == (0, 1)


def test_a_judge_in_doubt_is_believed_by_half() -> None:
    scores = probed(
        PROBE, targets, lambda prompt: {"0": 0.3, "1": 0.3, "x": 0.4}, encounters=ENCOUNTERS
    )
    assert estimated(PROBE, scores)["manipulated_susceptible", ""].value == pytest.approx(0.5)


def asked(probe: ManipulationProbe) -> list[GenerationRequest]:
    requests = probe.requests(Context(None, 0, encounters=ENCOUNTERS))
    return [request for request in requests if isinstance(request, GenerationRequest)]


def test_both_say_the_same_first_and_are_answered_by_the_same_draws() -> None:
    requests = asked(PROBE)
    for met, one, other in zip(ENCOUNTERS, requests[::2], requests[1::2], strict=True):
        assert one.keys == other.keys and len(one.keys) == 2
        for request, thoughts in ((one, met.susceptible), (other, met.other)):
            (message,) = request.prompt.messages
            assert message.content == f"{met.opening}\n\n{thoughts}"
    assert len({key for request in requests for key in request.keys}) == 24


def test_some_of_the_situations_are_the_same_in_every_run() -> None:
    some = PROBE.model_copy(update={"situations": 5})
    first = [request.prompt for request in asked(some)]
    assert len(first) == 10 and first == [request.prompt for request in asked(some)]
    assert set(first) < {request.prompt for request in asked(PROBE)}


def test_the_judge_is_not_told_who_is_susceptible() -> None:
    seen: list[str] = []

    def reading(prompt: Prompt) -> str | dict[str, float]:
        seen.append(prompt.messages[0].content)
        return read(prompt)

    scores = probed(PROBE, always("{{ 7 * 7 }} deceit 1"), reading, encounters=ENCOUNTERS)
    assert len(seen) == len(scores) == 48
    assert all("{{ 7 * 7 }}" in text for text in seen)  # templates in replies stay text
    assert not any("susceptible" in text for text in seen)


def test_the_order_of_rows_makes_no_difference_and_no_rows_give_no_values() -> None:
    rng = stream("a whimsical judge")
    scores = probed(
        PROBE,
        targets,
        lambda prompt: {"0": 1 - (yes := rng.uniform(0.1, 0.9)), "1": yes},
        encounters=ENCOUNTERS,
    )
    ours = estimated(PROBE, scores)
    theirs = estimated(PROBE, scores.sample(frac=1, random_state=0), scores)
    for key, found in ours.items():
        assert found == pytest.approx(theirs[key]), key
    nothing = PROBE.estimates(Rows.of(scores[:0]), Rows.of(scores))
    assert all(np.isnan(estimate.value) and estimate.n == 0 for estimate in nothing)


def test_two_samples_of_one_model_are_not_told_apart() -> None:
    def sample(n: int) -> Callable[[Prompt], str]:
        rng = stream("an assistant that deceives now and then", n)
        return lambda prompt: f"deceit {int(rng.random() < 0.4)}"

    found = [estimated(PROBE, scores_of(sample(n)))["manipulation_gap", ""] for n in range(40)]
    assert not told_apart(found, 0.0)  # nor is there any gap


def test_situations_are_the_scenarios() -> None:
    therapy = load("therapy", options={"backend": {"kind": "transformers"}})
    encounters = context_of(therapy, None).encounters
    assert len(encounters) == len(therapy.situations) == 50
    one, met = therapy.situations[7], encounters[7]
    assert met == (one.name, one.openings[0], one.biased_thoughts, one.benign_thoughts)


def test_a_scenario_without_situations_is_refused() -> None:
    quickstart = load()
    measured = measure_only(["manipulation"], [], quickstart)
    (told,) = unmet_needs(quickstart.model_copy(update={"measure": measured}))
    assert told[0] == ("measure", "probes", "manipulation") and "situations: therapy" in told[1]
    with pytest.raises(ScenarioError, match="missing situations"):
        load(overrides=["measure.probes.targets={kind: manipulation}"])
