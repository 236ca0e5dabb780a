"""Backgrounds: as many as a study needs, quickly, each its own, the same for the same seed."""

import time
from collections import Counter

from agents.personas import PATTERNS, PLACES, WORK, backgrounds


def test_twenty_thousand_in_seconds_and_no_two_alike() -> None:
    started = time.perf_counter()
    people = backgrounds(0, 20_000)
    assert time.perf_counter() - started < 20
    assert len(set(people)) == 20_000
    assert len({person.described for person in people}) == 20_000


def test_the_seed_decides_and_more_people_begin_with_the_same() -> None:
    assert backgrounds(3, 50) == backgrounds(3, 200)[:50]
    assert backgrounds(3, 50) != backgrounds(4, 50)


def test_everything_occurs_about_as_often() -> None:
    people = backgrounds(1, 5_000)
    for field, options in (("work", WORK), ("place", PLACES), ("pattern", PATTERNS)):
        counts = Counter(getattr(person, field) for person in people)
        assert set(counts) == set(options)
        assert max(counts.values()) < 1.6 * len(people) / len(options)
    assert all(one != other for one, other in (person.traits for person in people))


def test_a_background_reads_well() -> None:
    (person,) = backgrounds(0, 1)
    assert person.described.startswith(f"You are {person.age}, {person.work}, living in ")
    assert person.described.endswith(f"People call you {person.traits[0]} and {person.traits[1]}.")
