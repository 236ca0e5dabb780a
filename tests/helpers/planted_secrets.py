"""Finding what was planted: in every file below a folder, and in every list of processes."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
import psutil


def holders(folder: Path, planted: Sequence[str]) -> list[str]:
    """Returns each file below a folder that holds one of these texts, with the text."""
    return [
        f"{path}: {text}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for content in [_content(path)]
        for text in planted
        if text in content
    ]


def _content(path: Path) -> str:
    """Returns the texts of a file as they are stored, and as they are read."""
    raw = path.read_bytes().decode(errors="replace")
    if path.suffix == ".parquet":
        rows = pd.read_parquet(path).to_dict("records")
        return raw + "".join(str(value) for row in rows for value in row.values())
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as file:
            return raw + "".join(file.iterdump())
    if path.suffix in (".json", ".jsonl"):
        return raw + json.dumps(raw, ensure_ascii=False)
    return raw


@contextmanager
def watched_processes() -> Iterator[set[str]]:
    """Collects the command lines of all processes while the context is open."""
    seen, done = set[str](), threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            for process in psutil.process_iter():
                try:
                    seen.add(" ".join(process.cmdline()))
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
