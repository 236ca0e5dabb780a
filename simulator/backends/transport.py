"""The HTTP client below OpenAI's: it reads answers whole, within a deadline.

OpenAI's client asks again after what this one raises, but not after OpenAI's own errors.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import aiohttp
import httpx2
import openai

from simulator.backends.proxies import check_proxy, is_remote
from simulator.backends.refusals import QUOTED, error_within
from simulator.core.credentials import redacted

IDLE = 2.0  # seconds that an idle connection is kept; servers close theirs after a while


class Transport(openai.DefaultAioHttpClient):
    """A client for one endpoint.

    With hundreds of connections, httpx's own pool costs more time than a small model; so it's
    aiohttp's.
    """

    def __init__(self, url: str, *, concurrency: int, deadline: float) -> None:
        """Prepare the client, with the environment's proxies if the endpoint is remote.

        Raises:
            BackendError: a proxy can't be used.
        """
        check_proxy(url)
        self._deadline = deadline
        super().__init__(
            limits=httpx2.Limits(max_connections=concurrency, keepalive_expiry=IDLE),
            timeout=deadline,
            trust_env=is_remote(url),
        )

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Return a whole answer; an error inside one of status 200 gives it that error's status.

        The deadline is for all of it: httpx's own is for each piece, and some servers send blanks
        while they work.

        Raises:
            httpx2.TransportError: the connection broke, or what came isn't HTTP.
            openai.APITimeoutError: a repetition missed the deadline, too. A request may get stuck
                once, but a server that hangs answers none, and more tries would take hours.
        """
        try:
            async with asyncio.timeout(self._deadline):
                response = await super().send(request, **options)
                content = await response.aread()
        except (TimeoutError, httpx2.ReadTimeout):
            late = httpx2.ReadTimeout("the deadline was missed", request=request)
            if request.headers.get("x-stainless-retry-count", "0") != "0":
                raise openai.APITimeoutError(request=request) from late
            raise late from None
        except aiohttp.ClientError as error:  # of kinds that OpenAI's client doesn't know
            what = redacted(" ".join(str(error).split()))[:QUOTED]
            raise httpx2.RemoteProtocolError(what, request=request) from None
        if response.status_code == HTTPStatus.OK:
            response.status_code = error_within(content) or response.status_code
        return response
