"""Reading which values a free reply states.

A value is stated where one of its spellings stands, unless the clause denies it: "it isn't Sydney",
"Canberra, not Sydney" and "Sydney is wrong" don't state Sydney.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from simulator.worlds.fact_schema import folded, normal

_TOKEN = re.compile(r"\w+|[.,;:!?()\n—]")
# Words that begin a clause.
_TURNS = frozenset(("but", "and", "although", "though", "while", "whereas"))
# Words that deny what follows in their clause.
_DENYING = frozenset(
    ("not", "isnt", "wasnt", "arent", "doesnt", "dont", "cant", "cannot", "never", "nor")
) | {"neither", "without", "instead", "than"}
# What denies the value that stands before it: "Sydney is not", "Sydney would be wrong".
_DENIED = re.compile(
    r"(isnt|wasnt|arent|(is|was|are|were|would be|cant be|cannot be) "
    r"(not|never|incorrect|wrong|false|untrue|mistaken))\b"
)


class _Word(NamedTuple):
    text: str
    clause: int


def stated_values(
    reply: str, values: Iterable[str], spellings: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return the values that a reply states, in the order of `values`."""
    words = _words(reply)
    return tuple(
        value
        for value in values
        if any(_states(words, normal(text).split()) for text in spellings[value])
    )


def _words(reply: str) -> list[_Word]:
    words, clause = [], 0
    for token in _TOKEN.findall(folded(reply)):
        clause += token in _TURNS or not token[0].isalnum()
        if token[0].isalnum():
            words.append(_Word(token, clause))
    return words


def _states(words: Sequence[_Word], spelled: Sequence[str]) -> bool:
    """Return whether a spelling stands somewhere without being denied."""
    length = len(spelled)
    for start in range(len(words) - length + 1):
        end = start + length
        if [word.text for word in words[start:end]] != spelled:
            continue
        before = {w.text for w in words[:start] if w.clause == words[start].clause}
        after = " ".join(w.text for w in words[end:] if w.clause == words[end - 1].clause)
        if not (before & _DENYING or _DENIED.match(after)):
            return True
    return False
