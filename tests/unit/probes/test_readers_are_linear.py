"""Readers of replies take time in proportion to a reply's length, whatever a model writes."""

import re
import time
from collections.abc import Callable

import pytest

from simulator.core.expected_score import from_text
from simulator.core.requests import Completion, NumberRequest, Prompt
from simulator.models.thoughts import split_thought
from simulator.probes.benchmarks.deception_bench import _reasoning_and_answer
from simulator.probes.benchmarks.mask_judge import parse_bounds, parse_letter
from simulator.runtime.collapse import is_loop

ASKED = NumberRequest(Prompt(text="How good?"), 0, 10, ("REFUSAL",))
READERS: dict[str, Callable[[str], object]] = {
    "number": lambda text: from_text(ASKED, text),
    "number, cut": lambda text: from_text(ASKED, text, cut=True),
    "letter": parse_letter,
    "bounds": parse_bounds,
    "reasoning": lambda text: _reasoning_and_answer(Completion(text, 1, "end")),
    "thought": split_thought,
    "loop": is_loop,
}
UNITS = [
    "7", "0", "7 ", " ", "\n", "-", "–", ".", ",", "1,", "1.", "7-", "7 - ", "7 to ", "/", "/ 1",
    "out of ", "(", "[", "{", "}", '"', "*", "_", ":", "Answer", "Answer: A ", "answer\n", "the ",
    "the\n", "A", "A ", "a", "<think>", "</think>", "<output>", "</output>", "<", "REFUSAL ", "٧",
]  # fmt: skip
FRAMES = ["{}", "7{}x", "Answer: A{}x", "Answer:{}", "the{}", "a:{}", "<think>{}", "7-{}", "{{{}"]
SHORT, LONG = 5_000, 40_000  # characters


def seconds(read: Callable[[str], object], text: str) -> float:
    started = time.process_time()
    read(text)
    return time.process_time() - started


def written(frame: str, unit: str, length: int) -> str:
    return frame.format(unit * (length // len(unit)))


@pytest.mark.parametrize("reader", READERS)
def test_a_long_reply_takes_no_more_than_its_share(reader: str) -> None:
    """Eight times the length takes 64 times as long where time grows with the square."""
    read, slow = READERS[reader], []
    for frame in FRAMES:
        for unit in UNITS:
            took = seconds(read, written(frame, unit, LONG))
            if took < 0.05:
                continue
            short = min(seconds(read, written(frame, unit, SHORT)) for _ in range(3))
            took = min(took, seconds(read, written(frame, unit, LONG)))
            if took > 24 * short:
                slow.append((frame, unit, short, took))
    assert slow == []


def test_a_number_with_more_digits_than_python_takes_is_no_answer() -> None:
    assert from_text(ASKED, "7" * 20_000).mass == 0
    assert from_text(ASKED, "0" * 20_000 + "7").shares == {7: 1.0}


def test_a_reader_in_the_square_is_found() -> None:
    slow = re.compile(r"\d\s*\s*\Z")
    short, long = (seconds(slow.search, written("7{}x", " ", n)) for n in (1_000, 8_000))
    assert long > 24 * short
