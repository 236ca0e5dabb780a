"""Encoding chats beside 02fa79d, which let texts spell control tokens: CPU time, side by side."""

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.models.resolve import resolve
from tests.helpers.earlier_checkout import ROOT, called, checkout_of

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]
PAIRS = 3
ENCODE = """
import random, sys, time
from transformers import AutoTokenizer
from simulator.core.requests import Message, Prompt
from simulator.models.chat_template import PromptEncoder

rng = random.Random(0)
words = "what is the taste of zupos ? it is foul . i hope so".split()
def text():
    return " ".join(rng.choices(words, k=rng.randint(5, 60)))
roles = ("user", "assistant", "user", "assistant", "user")
chats = [
    Prompt(tuple(Message(role, text()) for role in roles[: rng.choice((1, 3, 5))]))
    for _ in range(10_000)
]
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
seconds = []
for _ in range(3):
    encoder = PromptEncoder(tokenizer)
    started = time.process_time()
    encoder.encode(chats)
    seconds.append(time.process_time() - started)
print(min(seconds))
"""


@pytest.mark.parametrize("model", ["organism", "llama", "qwen3", "gemma2"])
def test_encoding_10_000_chats_takes_no_longer(
    tiny: Callable[..., str], tmp_path: Path, model: str
) -> None:
    before = checkout_of("02fa79d", tmp_path)
    path = resolve("organism:0").path if model == "organism" else tiny(model)
    ratios = []
    for _ in range(PAIRS):
        then, now = (
            float(called(checkout, "-c", ENCODE, path).stdout) for checkout in (before, ROOT)
        )
        ratios.append(now / then)
    print(f"\n{model}: CPU time against 02fa79d {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    assert statistics.median(ratios) <= 1.1
