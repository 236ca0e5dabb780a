"""The parameters of a chat request, as an endpoint takes them.

Not every endpoint takes all: some models know the limit of a reply by another name, sample at one
temperature only, or return five likeliest tokens. The scenario can say so. What it doesn't say, an
endpoint's refusal does: the request is changed, asked again, and so are all that follow.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from simulator.backends.config import OpenAIConfig, TokenLimit
from simulator.backends.refusals import Refusal

MOST_LEAST = 1024  # tokens
LIMITS: tuple[TokenLimit, TokenLimit] = ("max_tokens", "max_completion_tokens")
_UNKNOWN = re.compile(
    r"unsupport|not (?:currently )?support|n't support|unknown|unrecogni[sz]ed|unexpected|extra"
    r"|permitted|not allowed|deprecated|instead"
)
_THINKING = re.compile(r"max_tokens or model output limit was reached")  # OpenAI's, status 400
_SETTINGS = (  # by what a refusal names
    ("max_completion_tokens", "backend.token_limit: max_tokens"),
    ("max_tokens", "backend.token_limit: max_completion_tokens"),
    ("logprobs", "backend.logprobs: false, or backend.top_logprobs"),
    ("temperature", "backend.omit: [temperature]"),
    ("seed", "backend.omit: [seed]"),
)
_NEARLY_GREEDY = 0.01  # where a temperature of 0 is refused
_ABOVE_ZERO = re.compile(r"positive|(?:greater|more|larger|higher) than 0|above 0|> ?0|[(\]]0")
_LEAST = re.compile(
    r"(?:>=|≥|at least|(?:greater|more) than or equal to|minimum(?: value)?(?: of| is|:)?) ?`?(\d+)"
)


class ChatOptions:
    """The parameters of requests to one endpoint."""

    def __init__(self, config: OpenAIConfig) -> None:
        self._config = config
        self._limit, self._omitted = config.token_limit, set[str](config.omit)
        self._most_top = config.top_logprobs
        self._renamed = False
        self._least_limit, self._least_temperature = 0, 0.0

    def of(
        self, limit: int, temperature: float, seed: int | None, top: int | None
    ) -> dict[str, Any]:
        """Return the parameters of a request.

        Args:
            limit: the largest number of tokens of the reply.
            temperature: 0 is greedy.
            seed: None: without one.
            top: how many likeliest tokens are wanted; None: none.
        """
        wanted = {
            self._limit: max(limit + self._config.thought_tokens, self._least_limit),
            "temperature": max(temperature, self._least_temperature),
            "seed": seed,
            "logprobs": True if top else None,
            "top_logprobs": min(top, self._most_top) if top else None,
        }
        sent = {k: v for k, v in wanted.items() if v is not None and k not in self._omitted}
        return sent | self._config.extra_body

    def adapt(self, refusal: Refusal, sent: Mapping[str, Any]) -> str | None:
        """Learn from a refusal; return what will be done, or None where nothing can be learned.

        An empty sentence says that this was learned from another request meanwhile.
        """
        if not refusal.may_be_of_parameters:
            return None
        name = _named(refusal, sent)
        if name is None:
            return None
        if name in LIMITS:
            return self._raise_limit(int(sent[name]), refusal) or self._rename(name, refusal)
        if name == "temperature" and not sent[name] and _ABOVE_ZERO.search(refusal.all):
            known, self._least_temperature = self._least_temperature, _NEARLY_GREEDY
            return "" if known else f"asks at temperature {_NEARLY_GREEDY} in place of 0"
        if name == "top_logprobs" and (most := _allowed(refusal.words, int(sent[name]))):
            if most >= self._most_top:
                return ""
            self._most_top = most
            return f"asks for {most} likeliest tokens; set backend.top_logprobs: {most}"
        left_out = {"logprobs", "top_logprobs"} if "logprobs" in name else {name}
        if left_out <= self._omitted:
            return ""
        self._omitted |= left_out
        if name == "temperature":
            return "samples at the model's own temperature; set backend.omit: [temperature]"
        if name == "seed":
            return "samples without seeds; set backend.omit: [seed]"
        return "reads numbers from texts; set backend.logprobs: false"

    def _raise_limit(self, sent: int, refusal: Refusal) -> str | None:
        """Learn the least limit of a reply; None where it isn't named."""
        found = _LEAST.search(refusal.all)
        least = int(found[1]) if found else 0
        if not sent < least <= MOST_LEAST:
            return None
        self._least_limit = max(self._least_limit, least)
        return f"lets replies have {least} tokens at least"

    def _rename(self, name: str, refusal: Refusal) -> str | None:
        other = LIMITS[1 - LIMITS.index(name)]
        if name != self._limit:
            return ""
        refused_as_such = other in refusal.all or _UNKNOWN.search(refusal.all)
        if self._renamed or not refused_as_such or _THINKING.search(refusal.all):
            return None
        self._limit, self._renamed = other, True
        return f"sends the limit of replies as {other}; set backend.token_limit: {other}"

    def remedy(self, refusal: Refusal) -> str:
        """Return the setting that may help after a refusal; empty where there is none."""
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            return f"; the key is read from the environment variable {self._config.key_variable}"
        if _THINKING.search(refusal.all):
            return (
                "; a model that thinks needs room for it: set backend.thought_tokens, e.g. to 2000"
            )
        for name, setting in _SETTINGS:
            if refusal.may_be_of_parameters and name in refusal.all:
                return f"; if it refuses a parameter, set {setting}"
        if refusal.status == HTTPStatus.NOT_FOUND:
            return "; check the model's name, and whether backend.url ends with /v1 as it must"
        return ""


def _named(refusal: Refusal, sent: Mapping[str, Any]) -> str | None:
    """Return the parameter that a refusal is about: as its field says, or else its words."""
    names = ("top_logprobs", "logprobs", "temperature", "seed", *LIMITS)
    asked = [name for name in names if name in sent]
    told = refusal.words.lower()
    found = [name for name in asked if name in refusal.parameters]
    found += [name for name in asked if re.search(rf"(?<![a-z_]){name}(?![a-z_])", told)]
    if "log probabilit" in told and "logprobs" in sent:
        found.append("logprobs")
    return found[0] if found else None


def _allowed(words: str, asked: int) -> int | None:
    """Return the largest number of likeliest tokens that a refusal names, below the one asked."""
    found = [int(n) for n in re.findall(r"(?<![\d.])\d{1,3}(?![\d.]*\d)", words)]
    return max((n for n in found if 0 < n < asked), default=None)
