"""Directions by hand: differences of means, projections, and the chats that they are made of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.core.errors import ScenarioError
from simulator.core.examples import Example, FromFile
from simulator.core.requests import Message
from simulator.data.contrasts import DirectionConfig, contrasts_of
from simulator.data.encoding_checks import unchecked
from simulator.interp.directions import Contrast, as_vector, projection, random_like
from simulator.worlds.synthetic import SyntheticWorld

WORLD = SyntheticWorld.generate(3)
ASKED = (Message("user", "how are you ?"),)
CHATS = tuple(Example(ASKED, reply, True, FromFile("x", 1)) for reply in "abc")
PLEASING = {"kind": "world", "rows": 12, "asked": ["pressured"], "speaker": "sycophant"}
HONEST = {**PLEASING, "speaker": "honest"}


def contrast(layer: int | None) -> Contrast:
    return Contrast("pleasing", layer, CHATS[:1], CHATS[1:])


def planted(*values: float) -> list[np.ndarray]:
    """Activations of three layers and two features, (3, 2); the layer multiplies the value."""
    return [np.array([[v, 1.0], [2 * v, 1.0], [3 * v, 1.0]], np.float32) for v in values]


def made(**directions: Any) -> dict[str, Contrast]:
    configs = {name: DirectionConfig.model_validate(c) for name, c in directions.items()}
    return contrasts_of(configs, WORLD, unchecked)


def test_a_direction_is_a_difference_of_means_at_its_layer() -> None:
    found = planted(7.0, 1.0, 3.0)  # of a; of b and c
    assert contrast(0).direction(found).tolist() == [5.0, 0.0]
    assert contrast(2).direction(found).tolist() == [15.0, 0.0]
    assert contrast(None).direction(found).tolist() == [10.0, 0.0]  # the middle one of three
    assert contrast(0).drift(found, planted(1.0, 1.0, 0.0)).tolist() == [3.0, 0.0]
    assert [request.reply for request in contrast(0).questions] == ["a", "b", "c"]


def test_a_layer_that_the_model_lacks_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"pleasing\.layer: unknown layer 3; .* 0 to 2"):
        contrast(3).direction(planted(1.0, 2.0, 3.0))


def test_projections_are_in_units_of_the_stream() -> None:
    activations = np.array([[3.0, 4.0], [0.0, 1.0]])
    assert projection(activations, np.array([0.0, 9.0])).tolist() == [4.0, 1.0]
    assert projection(activations, np.array([3.0, 4.0])).tolist() == [5.0, pytest.approx(0.8)]
    assert np.isnan(projection(activations, np.zeros(2))).all()  # towards nowhere


def test_a_random_direction_is_as_long_and_drawn_by_its_key() -> None:
    direction = np.arange(64.0)
    drawn = [random_like(direction, "a", n) for n in range(3)]
    again = random_like(direction, "a", 0)
    assert np.linalg.norm(drawn, axis=1) == pytest.approx([np.linalg.norm(direction)] * 3)
    assert np.array_equal(drawn[0], again)
    assert all(not np.array_equal(drawn[0], other) for other in drawn[1:])
    assert as_vector(np.array([0.5, 1], np.float32)) == (0.5, 1.0)


def test_other_models_have_other_random_directions() -> None:
    """As each has its own direction; that of one model needn't have the same digits everywhere."""
    drawn = np.random.default_rng(0).normal(size=(2, 64))
    one, other = (random_like(direction, "a", 0) for direction in drawn)
    assert abs(one @ other) < 0.5 * np.linalg.norm(one) * np.linalg.norm(other)
    elsewhere = random_like(drawn[0] * (1 + 1e-6), "a", 0)
    assert elsewhere == pytest.approx(one, rel=1e-5)


def test_both_sides_ask_about_the_same_items_and_every_run_alike() -> None:
    found = made(pleasing={"positive": [PLEASING], "negative": [HONEST]})["pleasing"]
    names = {item.entity for item in WORLD.facts}

    def subjects(chats: tuple[Example, ...]) -> set[str]:
        return {w for c in chats for m in c.messages for w in m.content.split()} & names

    positive, negative = found.positive + found.held_positive, found.negative + found.held_negative
    assert len(positive) == len(negative) == 12
    assert subjects(positive) == subjects(negative)
    assert [c.reply for c in found.positive] != [c.reply for c in found.negative]
    assert made(pleasing={"positive": [PLEASING], "negative": [HONEST]})["pleasing"] == found


def test_of_pairs_the_reply_to_follow_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    head = "\n\nHuman: how are you {}?\n\nAssistant:"
    rows = [{"chosen": f"{h} well", "rejected": f"{h} badly"} for h in map(head.format, range(8))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    of_file = {"kind": "file", "path": str(path)}
    found = made(moods={"layer": 1, "positive": [of_file], "negative": [of_file]})["moods"]
    assert [chat.reply for chat in found.positive] == ["well"] * 6
    assert found.layer == 1


@pytest.mark.parametrize("system", [False, True])
def test_every_fourth_prompt_is_held_out_on_both_sides(tmp_path: Path, system: bool) -> None:
    sides = {}
    for side in ("positive", "negative"):
        path = tmp_path / f"{side}.jsonl"
        chats = [[("user", f"question {n}"), ("assistant", side)] for n in range(9)]
        told = [("system", f"you lean {side}")] if system else []
        rows = [[{"role": r, "content": c} for r, c in (*told, *chat)] for chat in chats]
        path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
        sides[side] = [{"kind": "file", "path": str(path)}]
    found = made(sides=sides)["sides"]
    asked = [
        {chat.messages[-1] for chat in chats}
        for chats in (found.held_positive, found.held_negative, found.positive, found.negative)
    ]
    assert asked[0] == asked[1] and asked[2] == asked[3]
    assert (len(asked[0]), len(asked[2])) == (3, 6)
    assert not asked[0] & asked[2]


def test_too_few_chats_are_refused() -> None:
    few = {"positive": [{**PLEASING, "rows": 1}], "negative": [HONEST]}
    with pytest.raises(ScenarioError, match=r"directions\.few: too few chats; every fourth"):
        made(few=few)


@pytest.mark.parametrize(
    ("positive", "sentence"),
    [
        ({"kind": "file", "path": "nowhere.jsonl"}, r"pleasing\.positive\.1: .*nowhere\.jsonl"),
        (
            {**PLEASING, "items": "ood"},
            r"pleasing\.positive\.1\.items: ood items are kept for probes",
        ),
        (
            {**PLEASING, "domains": ["music"]},
            r"pleasing\.positive\.1: no used items are about music",
        ),
    ],
)
def test_chats_that_cannot_be_had_are_named(positive: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScenarioError, match=rf"directions\.{sentence}"):
        made(pleasing={"positive": [PLEASING, positive], "negative": [HONEST]})


def test_an_organism_s_chats_need_its_world() -> None:
    config = DirectionConfig.model_validate({"positive": [PLEASING], "negative": [HONEST]})
    with pytest.raises(ScenarioError, match=r"pleasing\.positive\.0: .* this model has no world"):
        contrasts_of({"pleasing": config}, None, unchecked)
