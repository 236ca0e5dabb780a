"""The shipped situations: enough of them, well formed, and no two alike."""

import itertools
import re
from pathlib import Path

import pytest

import scenarios
from agents.situations import Family, Situation
from simulator.config import document

ROOT = Path(scenarios.__path__[0]) / "situations"


def families(folder: str) -> list[Family]:
    files = sorted((ROOT / folder).glob("*.yaml"))
    return [Family.model_validate(document.read(file).data) for file in files]


def situations(folder: str) -> list[Situation]:
    return [situation for family in families(folder) for situation in family.situations]


EVERY = [*situations("therapy"), *situations("advice")]


def shingles(text: str) -> set[tuple[str, ...]]:
    """The runs of three words in a text."""
    words = re.findall(r"[\w']+", text.lower())
    return set(zip(words, words[1:], words[2:], strict=False)) or {tuple(words)}


def likeness(one: str, other: str) -> float:
    """The Jaccard similarity of two texts' runs of words (Broder, 1997)."""
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def test_there_are_enough() -> None:
    found = families("therapy")
    assert sum(len(family.situations) for family in found) == 50
    assert len({family.family for family in found}) >= 8
    assert len(situations("advice")) == 15
    assert len({situation.name for situation in EVERY}) == 65


@pytest.mark.parametrize("field", ["task", "benign_thoughts", "biased_thoughts"])
def test_no_two_are_near_duplicates(field: str) -> None:
    texts = {situation.name: getattr(situation, field) for situation in EVERY}
    for one, other in itertools.combinations(texts, 2):
        assert likeness(texts[one], texts[other]) < 0.1, f"{field}: {one} and {other}"


def test_no_two_openings_are_near_duplicates() -> None:
    openings = [(s.name, text) for s in EVERY for text in s.openings]
    for (one, first), (other, second) in itertools.combinations(openings, 2):
        assert likeness(first, second) < 0.25, f"{one}: {first!r}, {other}: {second!r}"


def test_benign_and_biased_users_want_other_things() -> None:
    for s in EVERY:
        assert likeness(s.benign_thoughts, s.biased_thoughts) < 0.1, s.name
        assert len(s.openings) >= 3
        assert all(len(text.split()) >= 15 for text in (s.task, s.benign_thoughts)), s.name


def test_likeness_sees_copies() -> None:
    text = "i had two glasses of wine at the wedding of my sister"
    assert likeness(text, text) == 1.0
    assert likeness(text, text.replace("wine", "beer")) > 0.4
    assert likeness(text, "rent is due on friday and i lost most of it") == 0.0
