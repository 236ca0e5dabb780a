"""Requests as the default run of `facts` stored them, with the lengths of its replies.

`tests/data/facts_requests.jsonl` has the first 256 turns of `run --scenario facts --biased-frac
0.1` with the lengths of their first candidates, in tokens.
"""

import json
from pathlib import Path

from simulator.core.requests import GenerationRequest, Message, Prompt

STORED = Path(__file__).parents[1] / "data" / "facts_requests.jsonl"


def stored_requests(count: int) -> list[GenerationRequest]:
    """Return the first requests; each asks for a reply as long as the stored one."""
    asked = []
    for number, line in enumerate(STORED.read_text().splitlines()[:count]):
        row = json.loads(line)
        prompt = Prompt(tuple(Message(m["role"], m["content"]) for m in row["messages"]))
        asked.append(GenerationRequest(prompt, (("stored", number),), row["tokens"]))
    assert len(asked) == count
    return asked
