"""What a scenario may say of keys: the name of an environment variable, and nothing else.

Runs write scenarios down. So a URL with a password, a key in place of a name, and a key among
parameters are refused. No message repeats them: what is refused counts as a known secret.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from simulator.core.credentials import has_a_key, keep_secret, looks_random, names_a_secret

_REMEDY = "put the key into the environment variable that key_variable names"


def without_credentials(url: str) -> str:
    """Refuse a URL with a user, a query, or a key in it.

    Raises:
        ValueError: it has one.
    """
    _, _, rest = url.partition("://")
    user, at, _ = rest.rpartition("@")
    beside = re.split("[?#&]", url)[1:]
    if at or beside or has_a_key(url):
        values = (part.rpartition("=")[2] for part in beside)
        for secret in (user, user.partition(":")[2], *values):
            keep_secret(secret)
        raise ValueError(
            "a URL has no user, password, key or query here, as runs write it down; " + _REMEDY
        )
    return url


def name_of_variable(given: str) -> str:
    """Return the name of an environment variable; a key in its place is refused.

    Raises:
        ValueError: it isn't one.
    """
    name = given.strip()
    is_key = has_a_key(name) or looks_random(name)
    if is_key:
        keep_secret(name)
    if is_key or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(
            "must be the name of an environment variable, such as OPENAI_API_KEY; the key itself "
            "stands in that variable, and in no file"
        )
    return name


def parameters_without_keys(given: dict[str, Any]) -> dict[str, Any]:
    """Refuse parameters of a request that hold a key.

    Raises:
        ValueError: one does.
    """
    for name, value in _texts(given):
        if value and (names_a_secret(name) or has_a_key(value)):
            keep_secret(value)
            raise ValueError(f"'{name}' holds a key, which runs would write down; {_REMEDY}")
    return given


def arguments_without_keys(given: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a server's arguments that hold a key, which every list of processes shows.

    Raises:
        ValueError: one does.
    """
    for argument, following in pairwise((*given, "")):
        name, _, value = argument.partition("=")
        is_key = name.startswith("--") and names_a_secret(name)
        if is_key or has_a_key(argument):
            keep_secret(value or following)
            what = f"'{name}' holds" if is_key else "one of them is"
            raise ValueError(
                f"{what} a key, which runs and lists of processes would show; leave it out: the "
                "run's server gets a key of its own by its environment, and takes others from there"
            )
    return given


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of nested parameters, each with the name that it stands under."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(part, str(key))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, name)
