"""The parameters of a chat request, as an endpoint takes them.

Not every endpoint takes all: some models know the limit of a reply by another name, sample at one
temperature only, or return five likeliest tokens. The scenario can say so. What it doesn't say, an
endpoint's refusal does: the request is changed, asked again, and so are all that follow.
"""

import re
from collections.abc import Mapping
from typing import Any

from simulator.backends.config import OpenAIConfig, TokenLimit
from simulator.backends.refusals import Refusal

STATUSES = (400, 403, 404, 422, 501)  # of refused parameters
LIMITS: tuple[TokenLimit, TokenLimit] = ("max_tokens", "max_completion_tokens")
_UNKNOWN = re.compile(
    r"unsupport|not (?:currently )?support|n't support|unknown|unrecogni[sz]ed|unexpected|extra"
    r"|permitted|not allowed|deprecated|instead"
)
_THINKING = re.compile(r"max_tokens or model output limit was reached")  # OpenAI's, status 400


class ChatOptions:
    """The parameters of requests to one endpoint."""

    def __init__(self, config: OpenAIConfig) -> None:
        self._config = config
        self._limit, self._omitted = config.token_limit, set[str](config.omit)
        self._most_top = config.top_logprobs
        self._renamed = False

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
            self._limit: limit + self._config.thought_tokens,
            "temperature": temperature,
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
        if refusal.status not in STATUSES or refusal.too_long:
            return None
        name = _named(refusal, sent)
        if name is None:
            return None
        if name in LIMITS:
            return self._rename(name, refusal)
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

    def _rename(self, name: str, refusal: Refusal) -> str | None:
        other = LIMITS[1 - LIMITS.index(name)]
        if name != self._limit:
            return ""
        refused_as_such = other in refusal.all or _UNKNOWN.search(refusal.all)
        if self._renamed or not refused_as_such or _THINKING.search(refusal.all):
            return None
        self._limit, self._renamed = other, True
        return f"sends the limit of replies as {other}; set backend.token_limit: {other}"

    @property
    def without_logprobs(self) -> bool:
        """Whether log-probabilities are refused."""
        return "logprobs" in self._omitted


def remedy(refusal: Refusal) -> str:
    """Return the setting that may help after a refusal; empty where there is none."""
    if _THINKING.search(refusal.all):
        return "; a model that thinks needs room for it: set backend.thought_tokens, e.g. to 2000"
    for name, setting in (
        ("max_completion_tokens", "backend.token_limit: max_tokens"),
        ("max_tokens", "backend.token_limit: max_completion_tokens"),
        ("logprobs", "backend.logprobs: false, or backend.top_logprobs"),
        ("temperature", "backend.omit: [temperature]"),
        ("seed", "backend.omit: [seed]"),
    ):
        if refusal.status in STATUSES and name in refusal.all:
            return f"; if it refuses a parameter, set {setting}"
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
