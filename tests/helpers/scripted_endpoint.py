"""An endpoint on this machine that gives the answers of a script."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from simulator.backends.config import OpenAIConfig
from simulator.backends.factory import open_backend
from simulator.backends.ledger import Spent
from simulator.backends.openai import OpenAIBackend
from simulator.core.requests import Message, Prompt
from simulator.core.timing import Stopwatch
from simulator.models.reference import ModelRef

HANGS_UP, NO_HTTP = 0, -1  # in place of a status
CHAT = Prompt((Message("system", "be kind"), Message("user", "am i good ?")))


class Scripted(ThreadingHTTPServer):
    """Gives the answers of a script, in order, and the last one for good."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[tuple[int, bytes, str]] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.delay, self.room = 0.0, 10**6  # seconds; letters of a chat
        self.wait = "1"  # milliseconds until a retry
        self.no_room: tuple[int, Any] = (400, {"error": {
            "message": "This model's maximum context length is exceeded",
            "code": "context_length_exceeded"}})  # fmt: skip
        self.refuses: Callable[[dict[str, Any]], tuple[int, Any] | None] = lambda asked: None
        self.blanks = 0  # sent before an answer, every tenth of a second
        self.elsewhere = ""  # where requests are redirected, as old proxies do: as a GET
        self.paths: set[str] = set()
        self.under_way = self.most = 0
        self.lock = threading.Lock()
        self.clients = contextlib.ExitStack()

    def say(self, status: int, body: Mapping[str, Any] | str) -> None:
        """Adds an answer to the script."""
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if text.startswith("<") else "application/json"
        self.script.append((status, text.encode(), kind))

    def next(self, asked: dict[str, Any]) -> tuple[int, bytes, str]:
        with self.lock:
            self.asked.append(asked)
            said = sum(len(message["content"]) for message in asked["messages"])
            refused = self.no_room if said > self.room else self.refuses(asked)
            if refused:
                return refused[0], json.dumps(refused[1]).encode(), "application/json"
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class Book:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.entries: list[tuple[Spent, float]] = []

    def recall(self, key: str) -> None:
        """Knows nothing."""

    def enter(self, key: str, answer: Mapping[str, Any], spent: Spent, cost: float) -> None:
        json.dumps(answer)  # it can be written down
        self.entries.append((spent, cost))


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.under_way += 1
            self.server.most = max(self.server.most, self.server.under_way)
            self.server.paths.add(self.path)
            self.server.keys.add(self.headers["Authorization"])
        time.sleep(self.server.delay)
        status, text, kind = self.server.next(body)
        with self.server.lock:
            self.server.under_way -= 1
        if status == HANGS_UP:
            return
        if status == NO_HTTP:
            self.wfile.write(text)
            return
        if self.server.elsewhere:
            self.send_response(301)
            self.send_header("Location", self.server.elsewhere)
            self.end_headers()
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text) + self.server.blanks))
        self.send_header("retry-after-ms", self.server.wait)
        self.end_headers()
        with contextlib.suppress(OSError):  # nobody listens any more
            for _ in range(self.server.blanks):
                self.wfile.write(b" ")
                time.sleep(0.1)
            self.wfile.write(text)

    def log_message(self, *args: Any) -> None:
        """Stays silent."""


def reply(content: str | None, stop: str = "stop", **message: Any) -> dict[str, Any]:
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": stop,
                     "message": {"role": "assistant", "content": content, **message}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }  # fmt: skip


def with_top(tokens: Mapping[str, float], text: str = "8") -> dict[str, Any]:
    """A reply of one token, with the likeliest ones."""
    top = [{"token": t, "logprob": p, "bytes": None} for t, p in tokens.items()]
    found = reply(text, "length")
    found["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
    return found


def opened(server: Scripted, book: Book | None = None, **settings: Any) -> OpenAIBackend:
    settings = {"url": f"http://127.0.0.1:{server.server_port}/v1", **settings}
    config = OpenAIConfig(**settings)
    backend = open_backend(config, ModelRef("judge"), Stopwatch(), ledger=book)
    assert isinstance(backend, OpenAIBackend)
    return server.clients.enter_context(contextlib.closing(backend))


@contextlib.contextmanager
def scripted() -> Iterator[Scripted]:
    """Serves while the context is open."""
    with Scripted() as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        with found.clients:
            yield found
        found.shutdown()
