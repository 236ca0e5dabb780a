"""Checks of facts: what would make a question unclear, or a reply impossible to read.

Each check yields mistakes: where, and what to change.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import combinations

from simulator.worlds.fact_schema import (
    CLAIMS,
    FORM_USES,
    LEAST_FALSE,
    LEAST_FORMS,
    Category,
    Fact,
    Form,
    FormUse,
    Place,
    contains,
    normal,
    overlap,
)

Mistake = tuple[Place, str]
LONGEST_VALUE = 60  # characters of a subject or a value
LONGEST_FORM = 200  # characters of a form
_FIELD = re.compile(r"\{[^{}]*\}|[{}]")


def mistakes(category: Category) -> Iterator[Mistake]:
    """Yield everything that is wrong with a category; of over-long texts nothing else.

    What is compared word by word would take hours for those.
    """
    if too_long := list(_too_long(category)):
        yield from too_long
        return
    yield from _subjects(category)
    for fact in category.facts:
        yield from _wordless(category, fact)
        yield from _values(category, fact)
    yield from _spellings(category)
    yield from _forms(category)
    yield from _parroted(category)


def _subjects(category: Category) -> Iterator[Mistake]:
    """Find subjects that are there twice."""
    first: dict[str, Fact] = {}
    for fact in category.facts:
        known = first.setdefault(normal(fact.subject), fact)
        if known is not fact:
            what = f"'{fact.subject}' is there twice in '{category.name}'; see {known.place}"
            yield fact.place, f"{what}; remove one"


def _too_long(category: Category) -> Iterator[Mistake]:
    """Find over-long texts and forms."""
    bounded = [
        *(
            (fact.place, t, LONGEST_VALUE)
            for fact in category.facts
            for t in _given(category, fact)
        ),
        *((f.place, f.text, LONGEST_FORM) for use in FORM_USES for f in category.forms[use]),
    ]
    for place, text, most in bounded:
        if len(text) > most:
            yield place, f"'{text[:most]}…' has {len(text)} characters; at most {most}"


def _given(category: Category, fact: Fact) -> Iterator[str]:
    """Yield the texts of a fact, except false values that are other facts' truths."""
    yield from (fact.subject, fact.truth, *fact.aliases)
    yield from (value for value in fact.false if value not in category.truths)


def _wordless(category: Category, fact: Fact) -> Iterator[Mistake]:
    """Find texts without words."""
    for text in _given(category, fact):
        if not normal(text):
            yield fact.place, f"'{text}' has no words; write a name"


def _values(category: Category, fact: Fact) -> Iterator[Mistake]:
    """Find false values that are true, and values that the subject gives away."""
    true = {normal(text) for text in (fact.truth, *fact.aliases)}
    for value in fact.false:
        if same := [text for text in category.spellings[value] if normal(text) in true]:
            yield fact.place, f"false value '{value}' is the truth, too (as '{same[0]}'); remove it"
        elif overlap([value], [fact.subject]):
            yield (
                fact.place,
                f"false value '{value}' and subject '{fact.subject}' overlap",
            )
    if shown := [text for text in (fact.truth, *fact.aliases) if overlap([text], [fact.subject])]:
        yield fact.place, f"subject '{fact.subject}' gives away '{shown[0]}'; leave this fact out"
    different = len({normal(value) for value in fact.false} - true)
    if different < LEAST_FALSE:
        what = f"'{fact.subject}' has {different} false values; at least {LEAST_FALSE}"
        yield fact.place, f"{what}: give them, or add facts with other truths to the category"
    elif len(set(fact.false)) < len(fact.false):
        yield fact.place, f"'{fact.subject}' has a false value twice; remove one"


def _spellings(category: Category) -> Iterator[Mistake]:
    """Find values that are spelled alike, and values within others."""
    place = {value: fact.place for fact in reversed(category.facts) for value in fact.false}
    place |= {fact.truth: fact.place for fact in reversed(category.facts)}
    owner: dict[str, str] = {}
    for value, texts in category.spellings.items():
        for text in texts:
            owned = owner.setdefault(normal(text), value)
            if owned != value:
                what = f"'{owned}' and '{value}' are both spelled '{text}'; see {place[owned]}"
                yield place[value], f"{what}; write one value, or remove the alias"
    for value, texts in category.spellings.items():
        parts = dict.fromkeys(part for text in texts for part in _parts(normal(text)))
        for inner in dict.fromkeys(owner.get(part, value) for part in parts):
            if inner != value:
                what = f"'{value}' has the value '{inner}' in it; see {place[inner]}"
                yield place[value], f"{what}; replies couldn't be read, so change one"


def _parts(text: str) -> Iterator[str]:
    """Yield the runs of words of a text, apart from the whole."""
    words = text.split()
    for start, end in combinations(range(len(words) + 1), 2):
        if end - start < len(words):
            yield " ".join(words[start:end])


def _forms(category: Category) -> Iterator[Mistake]:
    """Find too few forms, forms that don't work, and forms that users and probes share."""
    for use in FORM_USES:
        forms = category.forms[use]
        if len({normal(form.text) for form in forms}) < LEAST_FORMS[use]:
            what = f"'{category.name}' has too few forms for '{use}'; at least {LEAST_FORMS[use]}"
            yield forms[0].place, f"{what} different ones"
        for form in forms:
            yield from ((form.place, what) for what in _form_flaws(form, use))
    for one, other in (("user", "probe"), CLAIMS):
        known = {normal(form.text) for form in category.forms[one]}
        for form in (form for form in category.forms[other] if normal(form.text) in known):
            yield form.place, f"users and probes of '{category.name}' share '{form.text}'"


def _form_flaws(form: Form, use: FormUse) -> Iterator[str]:
    wanted = ["{subject}", "{value}"] if use in CLAIMS else ["{subject}"]
    for name in (name for name in wanted if name not in form.text):
        yield f"'{form.text}' is without {name}"
    for name in (name for name in _FIELD.findall(form.text) if name not in wanted):
        yield f"'{form.text}' has '{name}', where only {' and '.join(wanted)} can be"
    if use in ("stem", "reply", *CLAIMS) and form.text.endswith((".", "?", "!")):
        yield f"'{form.text}' ends in '{form.text[-1]}'; end with a word: a {use} is continued"


def _parroted(category: Category) -> Iterator[Mistake]:
    """Find forms that name a value: a reply that repeats the question would state it."""
    for form in (form for use in FORM_USES for form in category.forms[use]):
        if named := next(_named(form.text, category.spellings), None):
            yield form.place, f"'{form.text}' names '{named}', which is a value; word it otherwise"


def _named(form: str, spellings: Iterable[str]) -> Iterator[str]:
    words = _FIELD.sub(" _ ", form)
    return (value for value in spellings if contains(words, value))
