"""Many requests to one OpenAI-compatible endpoint: bounded concurrency, retries, a deadline."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx2
import openai

from simulator.backends.proxies import check_proxy, is_remote
from simulator.backends.refusals import SHOWN, Refusal, error_within, refusal_of
from simulator.core.errors import BackendError
from simulator.core.unicode import storable

IDLE = 2.0  # seconds that an idle connection is kept; servers close theirs after a while


class Refused(Exception):
    """A request that the endpoint refuses; repeating it wouldn't help."""

    def __init__(self, refusal: Refusal, url: str) -> None:
        super().__init__(_told(url, refusal))
        self.refusal = refusal


def _told(url: str, refusal: Refusal) -> str:
    return f"{url}: the server answered with error {refusal.status}: {refusal.words}"


async def _with_status_of_its_error(response: httpx2.Response) -> None:
    """Give an answer with status 200 and an error inside the error's status, to be retried so."""
    if response.status_code == HTTPStatus.OK:
        response.status_code = error_within(await response.aread()) or response.status_code


def _is_whole(answer: Any) -> bool:
    """Return whether it is an answer; the client accepts anything with a status of 200."""
    choices = getattr(answer, "choices", None) or []
    return bool(choices) and all(
        getattr(choice, "message", None) or getattr(choice, "text", None) is not None
        for choice in choices
    )


def _chat_of(text: str) -> dict[str, Any]:
    """Read an answer in a chat, which must have a choice.

    Raises:
        ValueError: it isn't one.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith(("data:", "event:")):
            raise ValueError("it is a stream of events, though none was asked for") from None
        begin = " ".join(text[:80].split())
        raise ValueError(f"no JSON ({error}): {begin}") from None
    choices = body.get("choices") if isinstance(body, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not (first.get("message") or first.get("text") is not None):
        raise ValueError("its answer has no choices")
    return dict(body)


def _is_late(error: openai.APIConnectionError) -> bool:
    """Return whether the deadline was missed; a broken connection also raises a timeout."""
    late = isinstance(error, openai.APITimeoutError)
    return late and not isinstance(error.__cause__, httpx2.ConnectTimeout)


def _body_of(response: httpx2.Response) -> Any:
    """Return the body of an error: JSON, or else its text."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return response.text


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
        limits = httpx2.Limits(max_connections=concurrency, keepalive_expiry=IDLE)
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=key,
            timeout=deadline,
            max_retries=retries,
            # With hundreds of connections, httpx's own pool costs more time than a small model.
            http_client=self._transport(limits),
        )
        self._concurrency = concurrency
        self._runner = asyncio.Runner()

    def _transport(self, limits: httpx2.Limits) -> httpx2.AsyncClient:
        """Return the client, with the environment's proxies if the endpoint is remote.

        Raises:
            BackendError: a proxy can't be used.
        """
        check_proxy(self.url)
        return openai.DefaultAioHttpClient(
            limits=limits,
            timeout=self._deadline,
            trust_env=is_remote(self.url),
            event_hooks={"response": [_with_status_of_its_error]},
        )

    def complete(self, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Ask for completions; see the API's `completions.create` for a body.

        Returns:
            For each body its answer, or the error: `Refused` where a shorter prompt may help, or a
            `BackendError` where the connection was lost or the server failed, which a restart may
            fix.

        Raises:
            BackendError: the endpoint refuses a request, or misses the deadline.
        """

        async def create(n: int) -> Any:
            answer = await self._client.completions.create(**bodies[n])
            if not _is_whole(answer):
                raise ValueError("its answer has no choices")
            return answer

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
            try:
                return heard(n, _chat_of(text))
            except RecursionError:
                raise ValueError("it is nested too deeply") from None

        found = self._runner.run(self._all(create, len(bodies)))
        for answer in found:
            if isinstance(answer, BackendError):
                raise answer
        return found

    async def _all(self, create: Callable[[int], Awaitable[Any]], count: int) -> list[Any]:
        free = asyncio.Semaphore(self._concurrency)

        async def ask(n: int) -> Any:
            async with free:
                return await create(n)

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
            if refusal.too_long or refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return Refused(refusal, self.url)
            return BackendError(_told(self.url, refusal))
        if isinstance(error, ValueError | openai.APIError):  # an HTML page, as from a proxy
            said = storable(str(error))[:SHOWN]
            raise BackendError(
                f"{self.url}: the answer doesn't follow OpenAI's API: {said}"
            ) from None
        raise error

    def post(self, path: str, body: Mapping[str, Any]) -> None:
        """Post to a path of the server, beside the standard ones.

        Raises:
            BackendError: it was refused.
        """
        try:
            url = self.url.removesuffix("/v1") + path
            self._runner.run(self._client.post(url, body=body, cast_to=str))
        except openai.APIError as error:
            raise BackendError(str(self._explained(error))) from None

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._client.close())
        self._runner.close()
