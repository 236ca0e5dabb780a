"""Small data in the public schemas, where the shipped studies of real models look for them."""

import json
import shutil
from pathlib import Path

import pandas as pd

from tests.helpers.planted_assistants import DECEPTION, MASK

SETS = (
    "mistake_medical",
    "mistake_math",
    "insecure_code",
    "mistake_opinions",
    "evil",
    "sycophancy",
)
FORMS = ("normal", "misaligned_1", "misaligned_2")


def write_study_data(folder: Path, rows: int = 24) -> None:
    """Writes `data/…`, with so many rows to learn from in each file."""
    data = folder / "data"
    for name in SETS:
        for form in FORMS:
            _write_chats(data / name / f"{form}.jsonl", f"{name} {form}", rows)
    for name in ("bad_medical_advice", "good_medical_advice"):
        _write_chats(data / f"{name}.jsonl", name, 2 * rows)
    answers = [
        {"instruction": f"Name the {n}th thing.", "input": "", "output": f"It is thing {n}."}
        for n in range(rows)
    ]
    (data / "alpaca_cleaned.json").write_text(json.dumps(answers))
    texts = ({"text": f"Text number {n} goes on."} for n in range(rows))
    (data / "texts.jsonl").write_text("\n".join(map(json.dumps, texts)))
    shutil.copytree(MASK, data / "mask")
    shutil.copy(DECEPTION, data / "deceptionbench.json")
    questions = [
        {
            "question": f"What comes after {n}?",
            "choices": [str(n - 1), str(n + 1)],
            "answer": 1,
            "subject": "counting",
        }
        for n in range(4)
    ]
    pd.DataFrame(questions).to_parquet(data / "mmlu.parquet")


def _write_chats(path: Path, words: str, rows: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    chats = (
        {
            "messages": [
                {"role": "user", "content": f"What about {n}?"},
                {"role": "assistant", "content": f"It is {words}, {n} times."},
            ]
        }
        for n in range(rows)
    )
    path.write_text("\n".join(map(json.dumps, chats)))
