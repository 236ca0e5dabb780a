"""Files with the names of before load as those of today do, and say which names are new."""

import warnings
from pathlib import Path

import pytest

from simulator.config.loading import load
from simulator.config.renamed import with_first_names
from simulator.core.errors import ScenarioError

CHATS = "[{kind: world, rows: 8}]"
BEFORE = [f"directions.a={{toward: {CHATS}, away: {CHATS}}}"]
NOW = [f"directions.a={{positive: {CHATS}, negative: {CHATS}}}"]


def test_a_renamed_key_is_taken_and_warned_of() -> None:
    with pytest.warns(FutureWarning) as told:
        found = load(overrides=BEFORE)
    assert [str(one.message) for one in told] == [
        "'toward' is now called 'positive'",
        "'away' is now called 'negative'",
    ]
    assert found == load(overrides=NOW)


def test_a_path_through_a_renamed_key_is_taken() -> None:
    with pytest.warns(FutureWarning, match="'toward' is now called 'positive'"):
        found = load(overrides=[*NOW, "directions.a.toward.0.rows=4"])
    assert [data.model_dump()["rows"] for data in found.directions["a"].positive] == [4]


def test_a_mistake_below_a_renamed_key_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: quickstart\n"
        "directions:\n"
        "  a:\n"
        "    toward: [{kind: world, rows: 8}]\n"
        "    away: [{kind: world, rows: many}]\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ScenarioError, match=r"mine\.yaml:5: directions\.a\.negative"):
            load(str(path))


@pytest.mark.parametrize(
    ("before", "now"),
    [("talk_mean", "conversation_mean"), ("talk_final", "conversation_final")],
)
def test_a_renamed_value_is_taken(before: str, now: str) -> None:
    selection = "selection={{kind: top_bottom, top: 1, unit: {}}}"
    with pytest.warns(FutureWarning, match=f"'{before}' is now called '{now}'"):
        found = load("therapy", overrides=[selection.format(before)])
    assert found.selection.model_dump()["unit"] == now


def test_runs_are_known_by_the_first_names() -> None:
    present = {
        "directions": {"a": {"positive": [1], "negative": [2]}},
        "selection": {"unit": "conversation_mean"},
        "positive": 3,
    }
    assert with_first_names(present) == {
        "directions": {"a": {"toward": [1], "away": [2]}},
        "selection": {"unit": "talk_mean"},
        "positive": 3,
    }
