"""Many requests to one OpenAI-compatible endpoint: bounded concurrency, retries, a deadline."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx2
import openai

from simulator.backends.refusals import QUOTED, Refusal, refusal_of
from simulator.backends.transport import Transport
from simulator.core.credentials import keep_secret, redacted, redacted_within
from simulator.core.errors import BackendError
from simulator.core.unicode import storable

LONGEST_ERROR = 100_000  # bytes; of a longer one the beginning is read, as text
CONNECTING = 30.0  # seconds, at most; less than the deadline, so that it's known what was missed


def key_of(variable: str) -> str:
    """Return the API key in an environment variable; "none" where there is none.

    It is a known secret from then on.

    Raises:
        BackendError: it can't be a key.
    """
    key = os.environ.get(variable, "").strip()  # files of secrets end with a line break
    if not (key.isascii() and key.isprintable()):
        raise BackendError(f"{variable}: an API key has only letters, digits and signs of ASCII")
    keep_secret(key)
    return key or "none"


class Refused(Exception):
    """A request that the endpoint refuses; repeating it wouldn't help."""

    def __init__(self, refusal: Refusal, told: str) -> None:
        super().__init__(told)
        self.refusal = refusal


class PostRefused(BackendError):
    """A post that the server refuses; repeating it wouldn't help."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(str(refused))
        self.status = refused.refusal.status


def _circumstances(response: httpx2.Response) -> str:
    """Return what beside its body explains an error."""
    wait = response.headers.get("retry-after")
    waits = f"; it asks to wait (Retry-After: {storable(redacted(wait))[:40]})" if wait else ""
    to = f"{response.url.scheme}://{response.url.netloc.decode(errors='replace')}"
    return waits + (f"; it redirected to {to}, so set backend.url to that" * bool(response.history))


def _chat_of(text: str) -> dict[str, Any]:
    """Read an answer in a chat, which must have a choice; without the key, should it repeat it.

    Raises:
        ValueError: it isn't one.
    """
    try:
        body = json.loads(text.removeprefix("\ufeff"))  # a byte order mark
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith(("data:", "event:")):
            raise ValueError("it is a stream of events, though none was asked for") from None
        raise ValueError(f"no JSON ({error}): {_beginning(text)}") from None
    choices = body.get("choices") if isinstance(body, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not (first.get("message") or first.get("text") is not None):
        raise ValueError(f"its answer has no choices: {_beginning(text)}")
    return dict(redacted_within(body))


def _beginning(text: str) -> str:
    return " ".join(redacted(text)[:80].split())


def _is_late(error: openai.APIConnectionError) -> bool:
    """Return whether the deadline was missed; a broken connection also raises a timeout."""
    late = isinstance(error, openai.APITimeoutError)
    return late and not isinstance(error.__cause__, httpx2.ConnectTimeout)


def _concerns_itself_alone(error: Exception) -> bool:
    """Return whether other requests may succeed: this one was refused for what it says."""
    if not isinstance(error, openai.APIStatusError):
        return False
    refusal = refusal_of(error.status_code, _body_of(error.response))
    return refusal.asks_otherwise


def _body_of(response: httpx2.Response) -> Any:
    """Return the body of an error: JSON, or else its text; without the key, as some repeat it."""
    if len(response.content) > LONGEST_ERROR:
        return redacted(response.text[:LONGEST_ERROR])
    try:
        return redacted_within(response.json())
    except (ValueError, RecursionError):
        return redacted(response.text)


class Endpoint:
    """A connection to one endpoint. It retries after passing errors, and waits longer each time."""

    def __init__(
        self, url: str, key: str, *, concurrency: int, deadline: float, retries: int
    ) -> None:
        """Prepare the connection; nothing is opened yet.

        Args:
            url: up to and including `/v1`.
            key: the API key.
            concurrency: largest number of concurrent requests.
            deadline: seconds for one request, its queueing at the server included.
            retries: after failures of transport, 429 and 5xx.
        """
        self.url, self._deadline = url, deadline
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=key,
            timeout=httpx2.Timeout(deadline, connect=min(CONNECTING, deadline / 2)),
            max_retries=retries,
            http_client=Transport(url, concurrency=concurrency, deadline=deadline),
        )
        self._concurrency = concurrency
        self._runner = asyncio.Runner()

    def complete(
        self, bodies: Sequence[Mapping[str, Any]], heard: Callable[[int, Any], Any]
    ) -> list[Any]:
        """Ask for completions; see the API's `completions.create` for a body.

        Args:
            bodies: what is asked.
            heard: is given each answer with its number as soon as it has come; it raises a
                `ValueError` if that isn't an answer to the body.

        Returns:
            For each body what `heard` made of its answer, or the error: `Refused` where a shorter
            prompt may help, or a `BackendError` where the connection was lost or the server failed,
            which a restart may fix.

        Raises:
            BackendError: the endpoint refuses a request, misses the deadline, or answers something
                else than was asked.
        """

        async def create(n: int) -> Any:
            return heard(n, await self._client.completions.create(**bodies[n]))

        found = self._runner.run(self._all(create, len(bodies)))
        for answer in found:
            if isinstance(answer, Refused) and not answer.refusal.too_long:
                raise BackendError(str(answer))
        return found

    def chat(
        self,
        bodies: Sequence[Mapping[str, Any]],
        heard: Callable[[int, dict[str, Any]], Any],
    ) -> list[Any]:
        """Ask for replies in chats; see the API's `chat.completions.create` for a body.

        Args:
            bodies: what is asked.
            heard: is given each answer with its number as soon as it has come, so that it can be
                kept whatever becomes of the others.

        Returns:
            For each body what `heard` made of its answer, or else `Refused`.

        Raises:
            BackendError: the endpoint can't be reached, fails, or misses the deadline.
        """

        async def create(n: int) -> Any:
            text = await self._client.post("/chat/completions", body=bodies[n], cast_to=str)
            return heard(n, _chat_of(text))

        found = self._runner.run(self._all(create, len(bodies)))
        for answer in found:
            if isinstance(answer, BackendError):
                raise answer
        return found

    async def _all(self, create: Callable[[int], Awaitable[Any]], count: int) -> list[Any]:
        """Send so many requests; after a failure that others would share, no further one is."""
        free = asyncio.Semaphore(self._concurrency)
        failed: list[Exception] = []

        async def ask(n: int) -> Any:
            async with free:
                if failed:
                    return failed[0]
                try:
                    return await create(n)
                except Exception as error:
                    if not _concerns_itself_alone(error):
                        failed.append(error)
                    raise

        answers = await asyncio.gather(*map(ask, range(count)), return_exceptions=True)
        return [self._explained(a) if isinstance(a, BaseException) else a for a in answers]

    def _explained(self, error: BaseException) -> Exception:
        """Return an error that a retry or another request may fix, and raise any other."""
        if isinstance(error, openai.APIConnectionError) and not _is_late(error):
            return BackendError(
                f"{self.url}: the server can't be reached: {error.__cause__ or error}"
            )
        if isinstance(error, openai.APITimeoutError):
            raise BackendError(
                f"{self.url}: no answer within {self._deadline:.0f} s; the server hangs or is too "
                "busy: lower backend.concurrency or raise backend.deadline"
            ) from None
        if isinstance(error, openai.APIStatusError):
            refusal = refusal_of(error.status_code, _body_of(error.response))
            told = f"{self.url}: the server answered with error {refusal.status}: {refusal.quoted}"
            told += _circumstances(error.response)
            if refusal.asks_otherwise or refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return Refused(refusal, told)
            return BackendError(told)
        if isinstance(error, RecursionError):
            error = ValueError("it is nested too deeply")
        if isinstance(error, ValueError | openai.APIError):  # an HTML page, as from a proxy
            said = storable(redacted(str(error)))[:QUOTED]
            raise BackendError(
                f"{self.url}: the answer doesn't follow OpenAI's API: {said}"
            ) from None
        raise error

    def post(self, path: str, body: Mapping[str, Any]) -> None:
        """Post to a path of the server, beside the standard ones.

        Raises:
            PostRefused: it was refused. After a lost answer it is sent again, so the server may
                have done already what it refuses.
            BackendError: the server can't be reached, fails, or misses the deadline.
        """
        url = self.url.removesuffix("/v1") + path
        try:
            self._runner.run(self._client.post(url, body=body, cast_to=str))
        except openai.APIError as error:
            explained = self._explained(error)
            raise PostRefused(explained) if isinstance(explained, Refused) else explained from None

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._client.close())
        self._runner.close()
