"""A proxy on this machine before a real server, with faults that a test schedules.

A schedule says what goes wrong with which request. What isn't to go wrong is
passed on as it is. Each request has a connection of its own, so a fault meets no other request.
"""

import contextlib
import http.client
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, NamedTuple, TypeAlias

HOST = "127.0.0.1"


class Upstream(NamedTuple):
    """The server behind the proxy."""

    port: int
    key: str


class Request(NamedTuple):
    """A request, as it came."""

    path: str
    body: dict[str, Any]


class Reply(NamedTuple):
    """What the server answered, or what is said in its place."""

    status: int
    content: bytes
    kind: str = "application/json"
    wait: str = ""  # Retry-After, if it is sent


class Exchange:
    """A request that a fault passes on or not, and answers or not."""

    def __init__(self, handler: "_Handler", request: Request) -> None:
        self._handler, self.request, self.proxy = handler, request, handler.server.proxy

    def passed_on(self, **changes: Any) -> Reply:
        """Asks the server, with changes to the request's body."""
        upstream = self.proxy.upstream
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {upstream.key}"}
        content = json.dumps({**self.request.body, **changes})
        connection = http.client.HTTPConnection(HOST, upstream.port, timeout=120)
        with contextlib.closing(connection):
            connection.request("POST", self.request.path, content, headers)
            found = connection.getresponse()
            return Reply(found.status, found.read(), found.headers["Content-Type"])

    def answer(self, reply: Reply, *, part: float = 1.0, pause: float = 0.0) -> None:
        """Answers; with less than the whole, or with a pause of some seconds in its midst."""
        said = reply.content[: int(part * len(reply.content))]
        self._handler.send_response(reply.status)
        self._handler.send_header("Content-Type", reply.kind)
        self._handler.send_header("Content-Length", str(len(reply.content)))
        if reply.wait:
            self._handler.send_header("Retry-After", reply.wait)
        self._handler.end_headers()
        self._handler.wfile.write(said[: len(said) // 2])
        self.proxy.over.wait(pause)
        self._handler.wfile.write(said[len(said) // 2 :])

    def write(self, content: bytes) -> None:
        """Answers with bytes that need not be HTTP."""
        self._handler.wfile.write(content)

    def reset(self) -> None:
        """Lets the connection end by a reset."""
        at_once = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)


Fault: TypeAlias = Callable[[Exchange], None]
Schedule: TypeAlias = Callable[[Request], Fault | None]
Kind: TypeAlias = Callable[[Request], bool]


# Kinds of requests


def talks(request: Request) -> bool:
    """Asks for the candidates of a turn."""
    return request.path == "/v1/completions" and request.body.get("n", 1) > 1


def reads(request: Request) -> bool:
    """Asks for probabilities."""
    return "logprobs" in request.body


def loads(request: Request) -> bool:
    """Gives the server an adapter."""
    return request.path == "/v1/load_lora_adapter"


def unloads(request: Request) -> bool:
    """Takes an adapter from the server."""
    return request.path == "/v1/unload_lora_adapter"


# Schedules


def no_faults(request: Request) -> None:
    """Lets all go well."""


def at(fault: Fault, kind: Kind, *numbers: int) -> Schedule:
    """Lets requests of a kind go wrong: those of these numbers, from 0; all, if there are none."""
    count = itertools.count()
    return lambda request: (
        fault if kind(request) and (next(count) in numbers or not numbers) else None
    )


def now_and_then(fault: Fault, kind: Kind, share: float, seed: int) -> Schedule:
    """Lets a share of the requests of a kind go wrong, by chance."""
    chance = Random(seed)
    return lambda request: fault if kind(request) and chance.random() < share else None


def together(*schedules: Schedule) -> Schedule:
    """Lets go wrong what any of the schedules does."""

    def schedule(request: Request) -> Fault | None:
        faults = [one(request) for one in schedules]
        return next((fault for fault in faults if fault is not None), None)

    return schedule


# Faults


def refused(seconds: float) -> Fault:
    """Nobody listens for so long."""

    def fault(exchange: Exchange) -> None:
        exchange.reset()
        exchange.proxy.refuse(seconds)

    return fault


def reset_before(exchange: Exchange) -> None:
    """The connection is reset before the server hears of the request."""
    exchange.reset()


def reset_after(exchange: Exchange) -> None:
    """The server has done what is asked, and its answer is lost."""
    exchange.passed_on()
    exchange.reset()


def half(exchange: Exchange) -> None:
    """The connection is closed amid the answer."""
    exchange.answer(exchange.passed_on(), part=0.5)


def slow(seconds: float) -> Fault:
    """The answer comes in two pieces, with so long between them."""
    return lambda exchange: exchange.answer(exchange.passed_on(), pause=seconds)


def hangs(exchange: Exchange) -> None:
    """Nothing is answered, and the connection stays open."""
    exchange.proxy.over.wait()


def garbled(exchange: Exchange) -> None:
    """What comes isn't HTTP."""
    exchange.write(b"\x00\xff no HTTP \r\n\r\n")


def says(status: int, content: str, kind: str = "application/json", wait: str = "") -> Fault:
    """Something else answers than the server."""
    return lambda exchange: exchange.answer(Reply(status, content.encode(), kind, wait))


def altered(change: Callable[[dict[str, Any]], None]) -> Fault:
    """The server's answer is changed on the way."""

    def fault(exchange: Exchange) -> None:
        reply = exchange.passed_on()
        said = json.loads(reply.content)
        change(said)
        exchange.answer(reply._replace(content=json.dumps(said).encode()))

    return fault


def asks_otherwise(**changes: Any) -> Fault:
    """The request is changed on the way."""
    return lambda exchange: exchange.answer(exchange.passed_on(**changes))


# The proxy


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    proxy: "Proxy"

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # and nothing before it: a reset is the only goodbye


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(self.path, body)
        fault = self.server.proxy.take(request)
        with contextlib.suppress(OSError, http.client.HTTPException):  # either end is gone
            (fault or _well)(Exchange(self, request))

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _well(exchange: Exchange) -> None:
    exchange.answer(exchange.passed_on())


class Proxy:
    """Stands before a server; `seen` has the requests since faults were scheduled."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream, self.over = upstream, threading.Event()
        self._schedule: Schedule = no_faults
        self._lock = threading.Lock()
        self.seen: list[Request] = []
        self._server = self._listening(0)
        self.port = self._server.server_port

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def schedule(self, schedule: Schedule) -> None:
        """Says from now on what goes wrong, and forgets what was seen."""
        with self._lock:
            self._schedule, self.seen = schedule, []

    def take(self, request: Request) -> Fault | None:
        """Notes a request, and returns what goes wrong with it."""
        with self._lock:
            self.seen.append(request)
            return self._schedule(request)

    def refuse(self, seconds: float) -> None:
        """Listens to nobody for so long."""
        self._stop()
        if not self.over.wait(seconds):
            self._server = self._listening(self.port)

    def close(self) -> None:
        self.over.set()
        self._stop()

    def _listening(self, port: int) -> _Server:
        server = _Server((HOST, port), _Handler)
        server.proxy = self
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def before(upstream: Upstream) -> Iterator[Proxy]:
    """A proxy, while the context is open."""
    with contextlib.closing(Proxy(upstream)) as proxy:
        yield proxy
