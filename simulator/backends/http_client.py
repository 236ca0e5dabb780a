"""Many requests to one OpenAI-compatible endpoint: bounded concurrency, retries, a deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx2
import openai

from simulator.core.errors import BackendError

IDLE = 2.0  # seconds that an idle connection is kept; servers close theirs after a while


SHOWN = 500  # characters of a server's refusal that are quoted


class TooLong(Exception):
    """The prompt is longer than the model's context."""


def _is_too_long(error: openai.BadRequestError) -> bool:
    said = f"{error.code} {error.message}".lower()
    return "context_length" in said or "context length" in said or "maximum context" in said


def _is_whole(answer: Any) -> bool:
    """Return whether it is an answer; the client accepts anything with a status of 200."""
    choices = getattr(answer, "choices", None) or []
    return bool(choices) and all(
        getattr(choice, "message", None) or getattr(choice, "text", None) is not None
        for choice in choices
    )


def _is_late(error: openai.APIConnectionError) -> bool:
    """Return whether the deadline was missed; a broken connection also raises a timeout."""
    late = isinstance(error, openai.APITimeoutError)
    return late and not isinstance(error.__cause__, httpx2.ConnectTimeout)


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
            http_client=openai.DefaultAioHttpClient(
                limits=limits, timeout=deadline, trust_env=False
            ),
        )
        self._concurrency = concurrency
        self._runner = asyncio.Runner()

    def complete(self, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Ask for completions; see the API's `completions.create` for a body.

        Returns:
            For each body its answer, or the error: `TooLong`, or a `BackendError` where the
            connection was lost or the server failed, which a restart may fix.

        Raises:
            BackendError: the endpoint refuses a request, or misses the deadline.
        """
        return self._runner.run(self._all(self._client.completions.create, bodies))

    def chat(self, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Ask for replies in chats; see `chat.completions.create`, and `complete`."""
        return self._runner.run(self._all(self._client.chat.completions.create, bodies))

    async def _all(
        self, create: Callable[..., Awaitable[Any]], bodies: Sequence[Mapping[str, Any]]
    ) -> list[Any]:
        free = asyncio.Semaphore(self._concurrency)

        async def ask(body: Mapping[str, Any]) -> Any:
            async with free:
                try:
                    answer = await create(**body)
                except openai.BadRequestError as error:
                    return TooLong() if _is_too_long(error) else error
                return answer if _is_whole(answer) else ValueError("its answer has no choices")

        answers = await asyncio.gather(*map(ask, bodies), return_exceptions=True)
        return [self._explained(a) if isinstance(a, BaseException) else a for a in answers]

    def _explained(self, error: BaseException) -> Exception:
        """Return an error that a retry may fix, and raise any other."""
        if isinstance(error, TooLong):
            return error
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
            body = error.body if isinstance(error.body, dict) else {}
            said = " ".join(str(body.get("message") or error.response.text).split())[:SHOWN]
            refusal = BackendError(
                f"{self.url}: the server answered with error {error.status_code}: {said}"
            )
            if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return refusal
            raise refusal from None
        if isinstance(error, ValueError | openai.APIError):  # an HTML page, as from a proxy
            raise BackendError(
                f"{self.url}: the answer doesn't follow OpenAI's API: {error}"
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
            raise self._explained(error) from None

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._client.close())
        self._runner.close()
