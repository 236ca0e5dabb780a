"""A server on this machine that speaks OpenAI's chat API; what it says depends on the prompt."""

import hashlib
import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server: Any = self.server
        with server.lock:
            server.asked += 1
            spent = server.asked > server.credit
        if spent and server.hangs:
            server.go_on.wait(60)
            return
        refusal: dict[str, Any] = {"error": {"message": "no credit left"}}
        said = refusal if spent else _answer(body)
        if not server.counts:
            said["usage"] = None
        content = json.dumps(said).encode()
        self.send_response(401 if spent else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _answer(body: dict[str, Any]) -> dict[str, Any]:
    digit = str(hashlib.sha256(json.dumps(body["messages"]).encode()).digest()[0] % 9 + 1)
    text, logprobs = f"I feel {digit} of it.", None
    if body.get("logprobs"):
        text = digit
        top = [{"token": digit, "logprob": math.log(0.9), "bytes": None}]
        logprobs = {"content": [{**top[0], "top_logprobs": top}], "refusal": None}
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": logprobs}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    head = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"]}
    return {**head, "choices": [choice], "usage": usage}


@contextmanager
def endpoint() -> Iterator[ThreadingHTTPServer]:
    """Serves while the context is open; `server_port` is where, `asked` counts the requests.

    After `credit` answers it refuses the key, or `hangs` until `go_on`. It may not say what it
    `counts`.
    """
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.asked, server.credit, server.hangs, server.counts = 0, math.inf, False, True
    server.lock, server.go_on = threading.Lock(), threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
