"""Numbers read off a model's probabilities, however its tokenizer splits them.

A number is a path of digits. Where the likeliest tokens are known after the beginnings of a reply,
the probability of each number is that of its digits, and of no digit after them that would make
another number of the range. So "8", "85" and "100" are told apart whether "85" is one token or two.

Sources: the expected rating over a scale's tokens is from Williams et al. (2411.02306), and from
Betley et al. (2502.17424) that a reply counts only where enough of its probability is a number.
"""

import re
from collections.abc import Mapping

import numpy as np

from simulator.core.requests import (
    GenerationRequest,
    NumberRequest,
    Numbers,
    TopTokens,
    TopTokensRequest,
)

SMALLEST_MASS = 0.25  # of a reply's probability that must be a number
WORDS_OF_A_REPLY = 16  # tokens, where the reply itself is read
_NUMBER = re.compile(r"(?<![\d.,-])\d+(?![\d]|[.,]\d)")
_RANGE = re.compile(r"\d[\d.,]*[ \t]*(?:[-–—−]|to\b)[ \t]*[\d.,]*\d")  # names a scale, or wavers
_UNENDED = re.compile(r"\d\s*(?:[-–—−.,/]|to|or)?\s*$")  # a number that might go on


def expected(found: Numbers) -> float | None:
    """Returns the mean of the numbers weighted by their shares; None where too little is one."""
    if found.mass < SMALLEST_MASS:
        return None
    values, shares = np.array(list(found.shares)), np.array(list(found.shares.values()))
    return float(values @ shares / shares.sum())


def word_said(found: Numbers) -> str:
    """Returns the word that a reply is, by the same bar; none where enough of it is a number."""
    word = max(found.words, key=lambda word: found.words[word], default="")
    said = found.mass < SMALLEST_MASS and found.words.get(word, 0.0) >= SMALLEST_MASS
    return word if said else ""


def as_top_tokens(request: NumberRequest, *, whole: bool) -> list[TopTokensRequest]:
    """Returns what to ask: the next tokens after nothing, and after each beginning of a number.

    A reasoning model is asked without a thought: else the reply's first token is none of it.

    Args:
        request: the number that is wanted.
        whole: can the model be asked what follows the beginning of its reply?
    """
    texts = [str(number) for number in range(request.low, request.high + 1)]
    prefill = {text[:n] for text in texts for n in range(1, len(text))} if whole else set()
    return [
        TopTokensRequest(request.prompt._replace(prefill=start, thought=False))
        for start in ("", *sorted(prefill, key=int))
    ]


def first_token_tells(request: NumberRequest, top: TopTokens) -> bool:
    """Is the first token the whole number? Not where digits stand alone: "8" may begin "85"."""
    return request.high < 10 or any(len(text) > 1 for text in _digits(top, first=True))


def from_top_tokens(request: NumberRequest, tops: Mapping[str, TopTokens]) -> Numbers:
    """Returns the distribution over numbers.

    Args:
        request: the number that is wanted.
        tops: after each beginning of the reply, its likeliest next tokens.
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
    """Returns the probability that a reply begins as a word does: its first token tells."""
    begins = (text for text in top if text.strip() and word.startswith(text.strip()))
    return sum(float(np.exp(top[text])) for text in begins)


def _digits(top: TopTokens, *, first: bool) -> dict[str, float]:
    """Returns the probability of each token that is digits alone; a reply may open with a blank."""
    found: dict[str, float] = {}
    for token, logprob in top.items():
        text = token.strip() if first else token
        if text.isascii() and text.isdigit():
            found[text] = found.get(text, 0.0) + float(np.exp(logprob))
    return found


def as_text(request: NumberRequest) -> GenerationRequest:
    """Returns what to ask of a model that tells no probabilities: its likeliest reply."""
    prompt = request.prompt._replace(thought=False)
    return GenerationRequest(prompt, (("number",),), WORDS_OF_A_REPLY, temperature=0.0)


def from_text(request: NumberRequest, reply: str, *, cut: bool = False) -> Numbers:
    """Reads the one number or word of a reply, as in `**Rating: 7**` or `7/10`, or else none.

    A range, as in `0-100` or `7 to 8`, is no number, nor is the end of the scale in `out of 10`. A
    word counts where the reply is that word, whatever follows, and not where it is a word of prose.

    Args:
        request: the number that is wanted.
        reply: what was said.
        cut: did it end where its tokens ran out? Then a number at its very end is none.
    """
    text = re.sub(rf"(?i)(?:/|\bout of)\s*{request.high}\b", "", reply)
    text = _RANGE.sub("", text)
    within = {int(n) for n in _NUMBER.findall(text) if request.low <= int(n) <= request.high}
    said = {word for word in request.words if _is(word, reply)}
    if len(within) + len(said) != 1 or (cut and _UNENDED.search(reply)):
        return Numbers({}, 0.0, reply)
    return Numbers(dict.fromkeys(within, 1.0), float(len(within)), reply, dict.fromkeys(said, 1.0))


def _is(word: str, reply: str) -> bool:
    """Is a reply this word, as in `**Refusal.**` or `Rating: REFUSAL`, whatever comes after?"""
    ended = r"(?![\w'’/-])[ \t]*(?:[^\w\s/]|$)"
    return bool(re.match(rf"(?im)\W*(?:\w+:\W*)?{re.escape(word)}{ended}", reply))
