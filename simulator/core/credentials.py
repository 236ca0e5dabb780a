"""The secrets of this process, and texts without them.

A run needs keys, and none of its outputs may show one: no file, no message. Keys come from the
environment alone. What an endpoint says is redacted as it arrives, so what is learned from, kept
and shown is the same text.
"""

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"
SHORTEST = 8  # characters; what is shorter, such as EMPTY, stands for a key and is also a word

# Variables of the environment that hold secrets, by their names.
_NAMED = re.compile(
    r"(?:^|_)(?:API_?KEY|(?:ACCESS|AUTH|PRIVATE|SECRET)_KEY|PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN"
    r"|CREDENTIALS?|PAT)(?:_|$)",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^\s/?#\"'<>]+(?=@)")  # and password, in a URL
# Parameters of URLs and requests that hold secrets, without `-` and `_`.
_PARAMETER = re.compile(
    r"(?:x?(?:api|access|auth|secret|private|subscription)?(?:key|token)|(?:proxy)?authorization"
    r"|(?:hf|bearer|refresh|session|id)token|password|passwd|pwd|passphrase|(?:client)?secret"
    r"|credentials?|cookie|sig|signature)"
)
_IN_QUERY = re.compile(r"(?<=[?&])([\w-]+)=([^\s&#\"'<>]+)")
# The shapes of keys that providers give.
_KEY = re.compile(
    r"(?<![\w-])(?:"
    r"(?:sk|pk|rk|xai|nvapi|pplx|glpat|xox[abprs])-[\w-]{12,}"
    r"|(?:hf|gsk|r8|gh[oprsu]|github_pat|[sr]k_live)_(?=\w*\d)\w{16,}"
    r"|AIza[\w-]{30,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,}[\w.-]*"
    r")(?![\w-])"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic) +(?=[\w.~+/-]*\d)[\w.~+/-]{8,}=*")
_RANDOM = re.compile(r"(?=(?:[a-z]*\d){2})(?=\d*[a-z])[a-z\d]{16,}", re.IGNORECASE)


def keep_secret(secret: str) -> None:
    """Redact a secret from now on, also as URLs write it."""
    known = _known()
    if len(secret) >= SHORTEST and secret not in known:
        known[:] = _longest_first({*known, secret, quote(secret, safe="")})


def redacted(text: str) -> str:
    """Return a text without the known secrets: those of the environment, and those kept."""
    for secret in _known():
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


def redacted_within(value: Any) -> Any:
    """Return nested lists and mappings without the known secrets."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {redacted_within(key): redacted_within(part) for key, part in value.items()}
    return [redacted_within(part) for part in value] if isinstance(value, list) else value


def masked(text: str) -> str:
    """Return a message without known secrets, and without what looks like one.

    That is the user of a URL, a query's key or token, and keys of known providers. Data aren't
    masked: a reply may well have an example of a key.
    """
    text = _USER.sub(HIDDEN, redacted(text))
    text = _IN_QUERY.sub(_without_value, text)
    return _BEARER.sub(rf"\1 {HIDDEN}", _KEY.sub(HIDDEN, text))


def _without_value(parameter: re.Match[str]) -> str:
    name, _ = parameter.groups()
    return f"{name}={HIDDEN}" if names_a_secret(name) else parameter[0]


def names_a_secret(name: str) -> bool:
    """Return whether a parameter of this name holds a secret, as `api_key` or `Authorization`."""
    return _PARAMETER.fullmatch(name.lower().replace("-", "").replace("_", "")) is not None


def has_a_key(text: str) -> bool:
    """Return whether a text has a key of a known provider, or a URL with a user."""
    return any(shape.search(text) for shape in (_KEY, _USER, _BEARER))


def looks_random(text: str) -> bool:
    """Return whether a name has a part that nobody would choose: 16 letters and digits or more."""
    return any(_RANDOM.fullmatch(part) for part in re.split(r"[\W_]", text))


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets of an environment: values by name, and the users of URLs."""
    for name, value in environment.items():
        for user in _USER.findall(value):
            yield from _of_user(user)
        by_name = _NAMED.search(name) and not value.startswith(("/", "~"))
        if by_name and re.fullmatch(r"(?=\D*\d)(?=\d*\D)\S{8,}|\S{16,}", value):
            yield value


def _of_user(user: str) -> Iterable[str]:
    """Return what a URL's user and password are written as: in the URL, bare, and in a header."""
    plain = unquote(user)
    _, _, password = plain.partition(":")
    return user, plain, password, quote(password), base64.b64encode(plain.encode()).decode()


@cache
def _known() -> list[str]:
    """Return the known secrets; the list is added to."""
    return _longest_first(found for found in secrets_of(os.environ) if len(found) >= SHORTEST)


def _longest_first(secrets: Iterable[str]) -> list[str]:
    """Order secrets, as one may begin with another."""
    return sorted(set(secrets), key=lambda secret: (-len(secret), secret))
