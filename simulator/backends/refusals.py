"""What endpoints mean by their errors, which every server words in its own way.

An error is known by its status, by its codes and types, and by its words. A body is an object, a
list of one (Gemini), or has its mistakes in `detail` (FastAPI). Some servers answer with status 200
and an error inside; its code counts then, as if it were the status.
"""

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from simulator.core.unicode import storable

READ, QUOTED = 500, 160  # characters of a refusal's words that are understood, and quoted
_FAILED = ("error", "abort", "aborted", "cancelled", "canceled", "insufficient_system_resource")
_MARKS = (
    b"error",
    b"abort",
    b"cancel",
    b"insufficient_system_resource",
)  # of errors beside choices
# The status that the words of an error stand for, where it has no number.
_STATUSES = (
    (401, r"auth(?!or)|api[ _-]?key|token (?:is )?invalid|invalid token|log ?in"),
    (402, r"insufficient_quota|billing|balance|credits?\b"),
    (403, r"permission|forbidden|not allowed"),
    (404, r"not[ _]found|does not exist|unexpected endpoint"),
    (429, r"rate[ _-]?limit|too many requests|throttl|slow down|quota"),
    (503, r"overload|unavailable|capacity|busy|try again"),
    (400, r"invalid|bad[ _]?request|validation|unsupported|context[ _](?:length|window|size)"),
)
# Codes, types and words that speak of the context, or of the whole request.
_CONTEXT = re.compile(
    r"context[ _-]?(?:length|size|window|limit)|max(?:imum)?[ _-]?context|\bn_ctx\b"
    r"|(?:exceed\w*|longer than|larger than|over(?:flow\w*)?) the (?:available |model'?s? )?context"
    r"|(?:prompt|inputs?|messages?|request|conversation|query|text|sequence)"
    r"(?: tokens?| length| body)?(?: is| are|_is|_are)?[ _]too[ _](?:long|large|big)"
    r"|too many (?:input |prompt )?tokens|tokens_limit_reached|too large for (?:the |this )?model"
    r"|max(?:imum)?[ _-](?:model|prompt|input|sequence|request)[ _-]?(?:len|length|tokens|size)\b"
    r"|(?:prompt|input|request|sequence)s?[ _](?:tokens?[ _])?(?:length|count|size)\b.*"
    r"(?:exceed|maximum|limit|should be|less than|at most|range)"
    r"|tokens?`? \+ `?max_(?:new_)?tokens|must have less than \d+ tokens"
    r"|reduce (?:the length|your prompt|the prompt|the size|the number of (?:input )?tokens)"
    r"|string_above_max_length|超长|超出.*(?:长度|上下文)"
)
# Words that speak of some limit of tokens: of the reply's or of a rate, if they name it.
_TOKENS = re.compile(
    r"(?:exceed\w*|longer than|larger than|greater than|more than|over) (?:the |our )?"
    r"(?:model'?s? )?(?:token|max|maximum|input)\w* (?:token |number|length|limit|allowed)"
    r"|tokens?\b[^.]{0,40}\bexceed|exceed\w*\b[^.]{0,40}\btokens?|token limit"
    r"|tokens?\b[^.]{0,40}(?:>|<=|≤)|\d tokens?\b[^.]{0,40}\b(?:max|limit|allowed|available|only)"
    r"|\b(?:max\w*|limit\w*|at most|only)\b[^.]{0,40}\d tokens"
    r"|maximum number of (?:input )?tokens|(?:does not|doesn't|cannot|can't|won't) fit"
)
_OF_OTHERS = re.compile(
    r"max_(?:completion_|output_|new_)?tokens|(?:output|completion) tokens|quota"
    r"|per (?:min|day|mon)"
)
_NEVER_LONG = (401, 402, 403, 404, 408)
_OF_PARAMETERS = (400, 403, 404, 422, 501)


class Refusal(NamedTuple):
    """An error, as an endpoint words it."""

    status: int
    words: str  # its message, for people
    all: str  # codes, types and messages, in lower case
    parameters: frozenset[str]  # that it names as refused

    @property
    def quoted(self) -> str:
        """The beginning of its message: an error is one line, and ends with what to do."""
        return self.words if len(self.words) <= QUOTED else f"{self.words[: QUOTED - 1]}…"

    @property
    def too_long(self) -> bool:
        """Whether the prompt is longer than the model's context, or than a request may be."""
        if self.status in _NEVER_LONG:
            return False
        if self.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return True
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:  # so large that waiting doesn't help
            return "request too large" in self.all
        if _CONTEXT.search(self.all):
            return True
        return bool(_TOKENS.search(self.all)) and not _OF_OTHERS.search(self.all)

    @property
    def may_be_of_parameters(self) -> bool:
        """Whether it may mean that a parameter isn't taken."""
        return self.status in _OF_PARAMETERS and not self.too_long

    @property
    def asks_otherwise(self) -> bool:
        """Whether it may be of this request alone, or of how it is asked."""
        return self.too_long or self.may_be_of_parameters


def refusal_of(status: int, body: object) -> Refusal:
    """Read the body of an error: JSON, or a text."""
    texts = list(_texts(body))
    words = next((text for key, text in texts if key in ("message", "msg", "status_msg")), "")
    words = words or next((text for key, text in texts if key in ("error", "detail", "")), "")
    words = words or (str(body) if body else http.client.responses.get(status, "no explanation"))
    everything = " ".join([*(text for _, text in texts), *(key for key, _ in texts)])
    named = {text for key, text in texts if key in ("param", "parameter", "loc")}
    words = storable(" ".join(words.split()))[:READ]
    return Refusal(status, words, everything.lower()[: 8 * READ], frozenset(named))


def error_within(content: bytes) -> int | None:
    """Return the status of an error inside an answer with status 200; None where it has none."""
    if b'"choices"' in content and not any(mark in content for mark in _MARKS):
        return None  # as nearly all answers are; they are parsed only once
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    body = body[0] if isinstance(body, list) and body else body
    if not isinstance(body, Mapping):
        return None
    error = _error_in(body)
    return None if error is None else _status_of(error)


def _error_in(body: Mapping[str, Any]) -> object | None:
    """Return the error of an answer: of the whole, or of its first choice."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(first, Mapping):
        reason = str(first.get("finish_reason")).lower()
        failed = reason in _FAILED or reason.startswith("error_toxic")
        beside = None if _says_something(first) else body.get("error")
        return first.get("error") or beside or (dict(first) | {"error": reason} if failed else None)
    if body.get("error"):
        return body if isinstance(body["error"], str) else body["error"]
    telling = ("detail", "errors", "base_resp", "msg", "message", "error_msg")
    return body if any(body.get(key) for key in telling) else None


def _says_something(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message")
    return bool(choice.get("text") or (isinstance(message, Mapping) and message.get("content")))


def _status_of(error: object) -> int:
    """Return the status that an error stands for."""
    texts = list(_texts(error))
    for key, text in texts:
        number = int(text) if key in ("code", "status", "status_code") and text.isdecimal() else 0
        if HTTPStatus.BAD_REQUEST <= number < 600:
            return number
    said = " ".join(text for _, text in texts).lower()
    found = (status for status, words in _STATUSES if re.search(words, said))
    return next(found, int(HTTPStatus.BAD_GATEWAY))


def _texts(body: object, key: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the texts and numbers of a body, each with its key."""
    if depth > 8:
        return
    if isinstance(body, Mapping):
        for name, value in body.items():
            yield from _texts(value, str(name), depth + 1)
    elif isinstance(body, list):
        for value in body:
            yield from _texts(value, key, depth + 1)
    elif body is not None and not isinstance(body, bool):
        yield key, str(body)[: 4 * READ]
