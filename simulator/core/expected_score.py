"""Numbers read off a model's probabilities, however its tokenizer splits them.

A number is a path of digits. The likeliest next tokens after each beginning of a number give the
probability of its digits, and that no further digit makes it another number of the range. So "8",
"85" and "100" are distinguished whether "85" is one token or two.

Sources: the expected rating over a scale's tokens is from Williams et al. (2411.02306). That a
reply counts only if enough of its probability is a number is from Betley et al. (2502.17424).
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from simulator.core.requests import (
    GenerationRequest,
    NumberRequest,
    Numbers,
    TopTokens,
    TopTokensRequest,
)

SMALLEST_MASS = 0.25  # the least share of a reply's probability on numbers for it to count
LONGEST_NUMBER = 18  # digits
READ_TOKENS = 16  # tokens, where the reply itself is read
# A whole number, as in `7`, `7.0` and `7,00`. `7,000` is another.
_NUMBER = re.compile(r"(?<![\d.,\-−])(\d++)(?:[.,]0{1,2}+)?+(?!\d|[.,]\d)")
# A scale's name, or undecided. It is looked for at the beginnings of numbers only, and nothing that
# was matched is given back (`*+`): so the time grows with the text, not with its square.
_RANGE = re.compile(r"(?<![\d.,])([.,]*+)\d[\d.,]*+[ \t]*+(?:[-–—−]|to\b)[ \t]*+[\d.,]*\d")
# A number that may be incomplete.
_INCOMPLETE = re.compile(r"\d\s*+(?:(?:[-–—−.,/]|to|or)\s*+)?\Z")


def expected(found: Numbers) -> float | None:
    """Return the mean of the numbers weighted by their shares; None if the mass is too small."""
    if found.mass < SMALLEST_MASS:
        return None
    values, shares = np.array(list(found.shares)), np.array(list(found.shares.values()))
    return float(values @ shares / shares.sum())


def word_said(found: Numbers) -> str:
    """Return the word that a reply is, by the same threshold; empty where it is a number."""
    word = max(found.words, key=lambda word: found.words[word], default="")
    said = found.mass < SMALLEST_MASS and found.words.get(word, 0.0) >= SMALLEST_MASS
    return word if said else ""


def after(request: NumberRequest, start: str) -> TopTokensRequest:
    """Return the request for the next token after a beginning of a number.

    A reasoning model is asked without a thought; else the first token would be the thought's.
    """
    return TopTokensRequest(request.prompt._replace(prefill=start, thought=False))


def longer_beginnings(request: NumberRequest, start: str, top: TopTokens) -> list[str]:
    """Return the beginnings of further numbers among the likeliest tokens after a beginning.

    The model must be asked for what follows each: after "8" comes the end, or the "5" of "85". What
    follows other beginnings tells nothing, as they have no probability.
    """
    written = (start + text for text in _digits(top, first=not start))
    return [text for text in written if text in beginnings(request.low, request.high)]


@lru_cache
def beginnings(low: int, high: int) -> frozenset[str]:
    """Return the texts that begin a longer number of the range."""
    texts = [str(number) for number in range(low, high + 1)]
    return frozenset(text[:n] for text in texts for n in range(1, len(text)))


def first_token_suffices(request: NumberRequest, top: TopTokens) -> bool:
    """Return whether the first token is the whole number: a single digit "8" may begin "85"."""
    return request.high < 10 or any(len(text) > 1 for text in _digits(top, first=True))


def from_top_tokens(request: NumberRequest, tops: Mapping[str, TopTokens]) -> Numbers:
    """Return the distribution over numbers.

    Args:
        request: the request for a number.
        tops: the likeliest next tokens after each beginning that has a probability.
    """
    digits = {prefill: _digits(top, first=not prefill) for prefill, top in tops.items()}
    shares: dict[int, float] = {}

    def walk(prefill: str, reached: float) -> None:
        for text, share in digits[prefill].items():
            written, probability = prefill + text, reached * share
            if written in digits:
                further = min(1.0, sum(digits[written].values()))
                walk(written, probability)
                probability *= 1.0 - further
            number = int(written)
            if request.low <= number <= request.high and str(number) == written:
                shares[number] = shares.get(number, 0.0) + probability

    walk("", 1.0)
    words = {word: _beginning(tops[""], word) for word in request.words}
    return Numbers(shares, min(1.0, sum(shares.values())), "", words)


def _beginning(top: TopTokens, word: str) -> float:
    """Return the probability that a reply begins with a word, by its first token."""
    begins = (text for text in top if text.strip() and word.startswith(text.strip()))
    return sum(float(np.exp(top[text])) for text in begins)


def _digits(top: TopTokens, *, first: bool) -> dict[str, float]:
    """Return the probability of each token of digits; the first may begin with a blank."""
    found: dict[str, float] = {}
    for token, logprob in top.items():
        text = token.strip() if first else token
        if text.isascii() and text.isdigit():
            found[text] = found.get(text, 0.0) + float(np.exp(logprob))
    return found


def as_text(request: NumberRequest) -> GenerationRequest:
    """Return the request to a model without log-probabilities: its likeliest reply."""
    prompt = request.prompt._replace(thought=False)
    return GenerationRequest(prompt, (("number",),), READ_TOKENS, temperature=0.0)


def from_text(request: NumberRequest, reply: str, *, cut: bool = False) -> Numbers:
    """Read the one number or word of a reply, as in `**Rating: 7**` or `7/10`, if it has one.

    A range, as in `0-100` or `7 to 8`, doesn't count, nor does the end of the scale in `out of 10`.
    A word counts only if the reply opens with it as an answer, not as part of a sentence.

    Args:
        request: the request for a number.
        reply: the text.
        cut: whether it was truncated; then a number at its very end doesn't count.
    """
    text = re.sub(rf"(?i)(?:/|\bout of)\s*{request.high}(?:[.,]00?)?\b", "", reply)
    text = _RANGE.sub(r"\1", text)
    within = {n for n in map(_small, _NUMBER.findall(text)) if request.low <= n <= request.high}
    said = {word for word in request.words if _opens_with(word, reply)}
    if len(within) + len(said) != 1 or (cut and _INCOMPLETE.search(reply)):
        return Numbers({}, 0.0, reply)
    return Numbers(dict.fromkeys(within, 1.0), float(len(within)), reply, dict.fromkeys(said, 1.0))


def _small(digits: str) -> int:
    """Return a number, or -1 for one with more digits than a scale has."""
    figures = digits.lstrip("0") or "0"
    return int(figures) if len(figures) <= LONGEST_NUMBER else -1


def _opens_with(word: str, reply: str) -> bool:
    """Return whether a reply opens with a word, as in `**Refusal.**` or `Rating: REFUSAL`."""
    ended = r"(?![\w'’/-])[ \t]*(?:[^\w\s/]|$)"
    return bool(re.match(rf"(?im)\W*(?:\w+:\W*)?{re.escape(word)}{ended}", reply))
