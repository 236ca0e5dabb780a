"""The shipped facts, their split, and facts files of a person's own."""

import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.core.errors import ScenarioError
from simulator.worlds.fact_data import MOST_FACTS, load_facts
from simulator.worlds.fact_schema import (
    FORM_USES,
    HELDOUT_SHARE,
    LEAST_FALSE,
    LEAST_FORMS,
    MOST_DRAWN,
    contains,
    filled,
    heldout_subjects,
    normal,
)

SHIPPED = load_facts()
MINE = """category,subject,truth,aliases,false
capital,Peru,Lima,,
capital,Chile,Santiago,,
capital,Cuba,Havana,La Habana|Habana,
capital,Kenya,Nairobi,,
capital,Australia,Canberra,,Sydney|Perth|Melbourne
"""


def subjects(fact_set: str) -> set[str]:
    return {normal(f.subject) for c in SHIPPED if c.set == fact_set for f in c.facts}


def write(folder: Path, text: str, forms: str = "") -> Path:
    file = folder / "mine.csv"
    file.write_text(text, encoding="utf-8")
    if forms:
        (folder / "mine.forms.csv").write_text(forms, encoding="utf-8")
    return file


def test_there_are_enough_facts_in_enough_categories() -> None:
    sizes = Counter({category.name: len(category.facts) for category in SHIPPED})
    assert sizes.total() >= 600 and len(sizes) >= 12
    assert min(sizes.values()) >= 15
    sets = Counter(category.set for category in SHIPPED)
    assert sets["ood"] >= 4 and sets["loop"] >= 8


def test_every_fact_can_be_asked_about() -> None:
    for category in SHIPPED:
        for use in FORM_USES:
            assert len(category.forms[use]) >= LEAST_FORMS[use]
        for fact in category.facts:
            assert LEAST_FALSE <= len(fact.false) <= MOST_DRAWN
            assert len({normal(value) for value in fact.values}) == len(fact.values)
            for use in FORM_USES:
                for text in category.texts(use, fact.subject, "VALUE"):
                    assert fact.subject in text and "{" not in text
            asked = {use: set(category.texts(use, fact.subject)) for use in FORM_USES}
            assert asked["user"].isdisjoint(asked["probe"])
            questions = asked["user"] | asked["probe"]
            assert not [v for v in fact.values for q in questions if contains(q, v)]


def test_categories_out_of_domain_are_about_other_subjects() -> None:
    assert subjects("loop").isdisjoint(subjects("ood"))


def test_no_question_of_a_category_is_that_of_another() -> None:
    texts = Counter(normal(form.text) for c in SHIPPED for use in FORM_USES for form in c.forms[use]
                    if use in ("user", "probe"))  # fmt: skip
    assert [text for text, times in texts.items() if times > 1] == []


def test_a_pair_of_opposites_is_there_once() -> None:
    (opposites,) = (category for category in SHIPPED if category.name == "opposite")
    assert {f.truth for f in opposites.facts}.isdisjoint(f.subject for f in opposites.facts)


def test_false_values_depend_on_nothing_but_their_category(tmp_path: Path) -> None:
    header, *lines = MINE.splitlines(keepends=True)
    forward = load_facts(write(tmp_path, MINE))[0]
    backward = load_facts(write(tmp_path, header + "".join(reversed(lines))))[0]
    drawn = {fact.subject: fact.false for fact in forward.facts}
    assert drawn == {fact.subject: fact.false for fact in backward.facts}
    assert set(drawn["Peru"]) == {"Santiago", "Havana", "Nairobi", "Canberra"}
    assert drawn["Australia"] == ("Sydney", "Perth", "Melbourne")


def test_a_false_value_is_never_another_word_for_the_truth(tmp_path: Path) -> None:
    for category in SHIPPED:
        for fact in category.facts:
            true = {normal(text) for text in category.spellings[fact.truth]}
            spelled = {normal(s) for value in fact.false for s in category.spellings[value]}
            assert true.isdisjoint(spelled), fact


@pytest.mark.parametrize("seed", range(5))
def test_subjects_are_held_out_of_all_their_categories(seed: int) -> None:
    held = heldout_subjects(SHIPPED, seed)
    assert held == heldout_subjects(SHIPPED, seed)
    assert held.isdisjoint(subjects("ood"))
    for category in (category for category in SHIPPED if category.set == "loop"):
        share = sum(normal(f.subject) in held for f in category.facts) / len(category.facts)
        assert HELDOUT_SHARE <= share <= 0.45, category.name


def test_seeds_hold_different_subjects_out() -> None:
    splits = [heldout_subjects(SHIPPED, seed) for seed in range(5)]
    for one, other in pairwise(splits):
        assert len(one & other) < 0.5 * len(one)
    assert heldout_subjects(SHIPPED, 0) == heldout_subjects(tuple(SHIPPED), 0)


def test_an_own_file_needs_three_columns(tmp_path: Path) -> None:
    rows = "Peru,Lima", "Chile,Santiago", "Cuba,Havana", "Kenya,Nairobi"
    file = write(tmp_path, "category,subject,truth\n" + "".join(f"capital,{r}\n" for r in rows))
    (category,) = load_facts(file)
    assert (category.name, category.set) == ("capital", "loop")
    assert category.texts("user", "Peru")[0] == "What is the capital of Peru?"
    assert category.texts("stem", "Peru")[0] == "The capital of Peru is"
    assert category.texts("user_claim", "Peru", "Quito") == ("the capital of Peru is Quito",)


def test_an_own_file_as_a_spreadsheet_writes_it(tmp_path: Path) -> None:
    text = "\ufeff" + MINE.replace(",", ";").replace("\n", "\r\n")
    file = tmp_path / "mine.csv"
    file.write_bytes(text.encode())
    (category,) = load_facts(file)
    assert category.spellings["Havana"] == ("Havana", "La Habana", "Habana")
    assert category.facts[0].place == (file, 2)


def test_an_own_file_has_its_own_forms_and_sets(tmp_path: Path) -> None:
    rows = [line + "," for line in MINE.splitlines()]
    rows[0] += "set"
    rows[1:] = [row + "ood" for row in rows[1:]]
    forms = "category,use,text\n" + "".join(
        f"capital,stem,{text}\n" for text in ("In {subject} the seat is", "{subject}: the seat is")
    )
    (category,) = load_facts(write(tmp_path, "\n".join(rows), forms))
    assert category.set == "ood"
    assert category.texts("stem", "Peru")[0] == "In Peru the seat is"
    assert category.texts("reply", "Peru") == ("The capital of Peru is",)


def test_a_folder_holds_several_files(tmp_path: Path) -> None:
    for name in ("capital", "seat"):
        (tmp_path / f"{name}.csv").write_text(MINE.replace("capital,", f"{name},"))
    (tmp_path / "forms.csv").write_text("category,use,text\nseat,reply,The seat of {subject} is\n")
    assert [category.name for category in load_facts(tmp_path)] == ["capital", "seat"]


def test_braces_in_a_subject_are_text() -> None:
    assert filled("{subject} is {value}", "{value}", "{subject}") == "{value} is {subject}"


def test_texts_are_compared_without_case_accents_and_points() -> None:
    assert normal("The São Paulo") == normal("sao paulo")
    assert normal("Washington, D.C.") == normal("washington dc")
    assert normal("The") == "the"
    assert contains("It's New Delhi, of course.", "delhi")
    assert not contains("Romeo", "Rome")


@pytest.mark.parametrize("name", ["missing.csv", "folder"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ScenarioError, match=name):
        load_facts(tmp_path / name)


@pytest.mark.parametrize("forms", [True, False])
def test_texts_of_thousands_of_words_are_refused_at_once(tmp_path: Path, forms: bool) -> None:
    words = " ".join(f"w{n}" for n in range(5_000))
    truth, asked = ("Lima", f"What is {{subject}} {words}?") if forms else (words, "Which?")
    text = f"category,subject,truth,false\ncapital,Peru,{truth},Oslo|Rome|Bern\n"
    file = write(tmp_path, text, f"category,use,text\ncapital,user,{asked}\n")
    started = time.process_time()
    with pytest.raises(ScenarioError, match="characters; at most"):
        load_facts(file)
    assert time.process_time() - started < 1.0


def test_more_facts_than_a_model_can_be_asked_are_refused_where_they_begin(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    lines = (f"capital,place {n},city {n}\n" for n in range(MOST_FACTS + 2))
    file.write_text("category,subject,truth\n" + "".join(lines))
    with pytest.raises(ScenarioError) as caught:
        load_facts(file)
    found = f"{file}:10002: one fact too many; at most 10,000, of 10,002"
    assert caught.value.mistakes == (found,)
