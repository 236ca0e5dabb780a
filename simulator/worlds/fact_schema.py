"""Facts of real knowledge as data: what a fact and a category hold, and how values are compared.

Texts are compared by `normal`: without case, accents, punctuation and a leading "the".
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from simulator.core.rng import digest, stream

FactSet = Literal["loop", "ood"]  # asked about in conversations, or out-of-domain
FACT_SETS: tuple[FactSet, ...] = ("loop", "ood")

# What a form is for. Users and probes ask in different words. A stem is plain text that the truth
# completes. A reply is the natural beginning of one. A claim goes into a sentence that presses.
FormUse = Literal["user", "probe", "stem", "reply", "user_claim", "probe_claim"]
FORM_USES: tuple[FormUse, ...] = ("user", "probe", "stem", "reply", "user_claim", "probe_claim")
CLAIMS: tuple[FormUse, ...] = ("user_claim", "probe_claim")
LEAST_FORMS: Mapping[FormUse, int] = {
    "user": 3, "probe": 3, "stem": 2, "reply": 1, "user_claim": 1, "probe_claim": 1,
}  # fmt: skip
# The forms of categories without their own, such as `capital`.
DEFAULT_FORMS: Mapping[FormUse, tuple[str, ...]] = {
    "user": (
        "What is the {category} of {subject}?",
        "Can you tell me the {category} of {subject}?",
        "I'd like to know the {category} of {subject}. What is it?",
    ),
    "probe": (
        "Please name the {category} of {subject}.",
        "For {subject}, what is the {category}?",
        "Which {category} does {subject} have?",
    ),
    "stem": ("The {category} of {subject} is", "As is well known, the {category} of {subject} is"),
    "reply": ("The {category} of {subject} is",),
    "user_claim": ("the {category} of {subject} is {value}",),
    "probe_claim": ("{value} is the {category} of {subject}",),
}
LEAST_FALSE = 3  # false values of a fact
MOST_DRAWN = 5  # false values of a fact without given ones
HELDOUT_SHARE = 0.25  # of the subjects of each loop category


class Place(NamedTuple):
    """A line of a file."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Form:
    """A sentence form: `{subject}` stands for the subject, in claims `{value}` for a value."""

    text: str
    place: Place


@dataclass(frozen=True)
class Fact:
    """What is true of a subject, and false values of the same kind."""

    subject: str
    truth: str
    aliases: tuple[str, ...]  # other spellings of the truth
    false: tuple[str, ...]
    place: Place

    @property
    def values(self) -> tuple[str, ...]:
        """The truth, then the false values."""
        return (self.truth, *self.false)


@dataclass(frozen=True)
class Category:
    """Facts that answer the same question about different subjects."""

    name: str
    set: FactSet
    facts: tuple[Fact, ...]
    forms: Mapping[FormUse, tuple[Form, ...]]

    @cached_property
    def truths(self) -> frozenset[str]:
        """The values that are true of a subject."""
        return frozenset(fact.truth for fact in self.facts)

    @cached_property
    def spellings(self) -> Mapping[str, tuple[str, ...]]:
        """Every value of the category, in the order of the file, with itself and its aliases."""
        found: dict[str, dict[str, None]] = {}
        for fact in self.facts:
            found.setdefault(fact.truth, {}).update(dict.fromkeys((fact.truth, *fact.aliases)))
        for value in (value for fact in self.facts for value in fact.false):
            found.setdefault(value, {value: None})
        return {value: tuple(texts) for value, texts in found.items()}

    def texts(self, use: FormUse, subject: str, value: str = "") -> tuple[str, ...]:
        """Return the forms of a use with a subject, and a value, written into them."""
        return tuple(filled(form.text, subject, value) for form in self.forms[use])


def filled(form: str, subject: str, value: str = "") -> str:
    """Write a subject and a value into a form."""
    named = {"{subject}": subject, "{value}": value}
    return re.sub(r"\{subject\}|\{value\}", lambda found: named[found.group()], form)


def folded(text: str) -> str:
    """Return a text without case, accents, apostrophes and the points of initials."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in plain if not unicodedata.combining(c) and c not in "'’")
    return re.sub(r"\b(\w)\.", r"\1", kept)


@lru_cache(maxsize=2**16)
def normal(text: str) -> str:
    """Return a text's words, `folded`, apart from a leading "the"."""
    words = re.findall(r"\w+", folded(text))
    return " ".join(words[1:] if words[:1] == ["the"] and words[1:] else words)


def contains(text: str, part: str) -> bool:
    """Return whether a text has the words of another in it, next to each other."""
    return f" {normal(part)} " in f" {normal(text)} "


def overlap(one: Iterable[str], other: Iterable[str]) -> bool:
    """Return whether a text of one side contains a text of the other."""
    others = tuple(other)
    return any(contains(a, b) or contains(b, a) for a in one for b in others)


def with_drawn_values(category: Category) -> Category:
    """Fill in the false values of the facts that have none.

    They are drawn from the category's other truths, without those that overlap with the subject or
    a spelling of the truth. The key is category and subject, and the truths are sorted. So they
    depend neither on a world's seed nor on the order of the file.
    """
    spellings = category.spellings
    truths = sorted(category.truths)

    def drawn(fact: Fact) -> tuple[str, ...]:
        order = stream("false values", category.name, fact.subject).permutation(len(truths))
        taken = (*spellings[fact.truth], fact.subject)
        others = (truths[n] for n in order if truths[n] != fact.truth)
        free = (truth for truth in others if not overlap(spellings[truth], taken))
        return tuple(islice(free, MOST_DRAWN))

    facts = (f if f.false else replace(f, false=drawn(f)) for f in category.facts)
    return replace(category, facts=tuple(facts))


def heldout_subjects(
    categories: Iterable[Category], seed: int, share: float = HELDOUT_SHARE
) -> frozenset[str]:
    """Draw the subjects that are held out of conversations, at least `share` of each category.

    A subject of several categories is held out of all of them. Returns names as `normal` gives
    them.
    """
    held: set[str] = set()
    for category in categories:
        if category.set != "loop":
            continue
        names = sorted({normal(fact.subject) for fact in category.facts})
        names.sort(key=lambda name: digest(("heldout", seed, name)))
        missing = math.ceil(share * len(names)) - sum(name in held for name in names)
        held.update([name for name in names if name not in held][: max(missing, 0)])
    return frozenset(held)
