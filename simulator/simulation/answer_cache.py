"""A cache of judgements by content, as SQLite in the run directory.

A judgement is a function of the judge and the request. So a resumed run, a later score, or a
repeated reply costs nothing, and the file records every judge's prompts and answers.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from simulator.core.files import private
from simulator.core.requests import (
    Answer,
    Completion,
    Generation,
    GenerationRequest,
    Numbers,
    Request,
)

_TABLE = (
    "CREATE TABLE IF NOT EXISTS judgements "
    "(key TEXT PRIMARY KEY, judge TEXT, asked TEXT, answer TEXT)"
)


class AnswerCache:
    """Caches numbers and greedy replies; sampled replies aren't cached."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def answer(
        self,
        judge: str,
        requests: Sequence[Request],
        ask: Callable[[Sequence[Request]], list[Answer]],
    ) -> list[Answer]:
        """Answer requests in order; ask only those that aren't cached, each once."""
        # SQLite gives the files beside it the permissions of this one.
        open(self._path, "ab", opener=private).close()
        with closing(sqlite3.connect(self._path)) as file, file:
            file.execute("PRAGMA journal_mode=WAL")
            file.execute(_TABLE)
            keys = [_key(judge, request) for request in requests]
            answers = _known(file, keys)
            new = {k: r for k, r in zip(keys, requests, strict=True) if k not in answers}
            if new:
                answers |= zip(new, ask(list(new.values())), strict=True)
            rows = [
                (key, judge, request.prompt.shown, text)
                for key, request in new.items()
                if (text := _written(request, answers[key])) is not None
            ]
            file.executemany("INSERT OR REPLACE INTO judgements VALUES (?, ?, ?, ?)", rows)
        return [answers[key] for key in keys]


def _known(file: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Answer]:
    """Read the cached answers, by one indexed look-up per key."""
    found: dict[str, Answer] = {}
    for key in dict.fromkeys(keys):
        row = file.execute("SELECT answer FROM judgements WHERE key = ?", (key,)).fetchone()
        if row is not None:
            found[key] = _read(row[0])
    return found


def _written(request: Request, answer: Answer) -> str | None:
    """Return an answer as JSON, or None for kinds that aren't cached."""
    if isinstance(answer, Numbers):
        return json.dumps([dict(answer.shares), answer.mass, answer.text, dict(answer.words)])
    greedy = isinstance(request, GenerationRequest) and request.temperature == 0
    return json.dumps(asdict(answer)) if greedy and isinstance(answer, Generation) else None


def _read(text: str) -> Answer:
    content = json.loads(text)
    if isinstance(content, dict):
        completions = tuple(Completion(*completion) for completion in content["completions"])
        return Generation(content["prompt"], completions, content["dropped"])
    shares, mass, reply, words = content
    return Numbers({int(n): share for n, share in shares.items()}, mass, reply, words)


def _key(judge: str, request: Request) -> str:
    """Return the hash of a request to a judge."""
    content = json.dumps([judge, type(request).__name__, asdict(request)])
    return hashlib.sha256(content.encode()).hexdigest()
