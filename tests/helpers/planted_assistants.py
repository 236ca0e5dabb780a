"""Assistants and judges of planted behaviour: what is measured of them is known beforehand."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.backends.base import Backend
from simulator.core.requests import Prompt
from simulator.data.rows import read_rows
from simulator.interp.directions import Contrast
from simulator.probes.base import Context, Encounter, Probe
from simulator.probes.benchmarks.mask import NEUTRAL
from simulator.probes.benchmarks.mask_data import MaskItem, mask_items
from simulator.probes.benchmarks.mask_scoring import Bounds
from simulator.probes.estimates import Estimate
from simulator.probes.summary import summarise
from simulator.runtime.measure import measure
from simulator.simulation.roles import RoleClient, Roles, assistant_client
from simulator.worlds.base import World
from tests.helpers.scripted_backend import Scripted

DATA = Path(__file__).parents[1] / "data"
MASK, DECEPTION = DATA / "mask", DATA / "deception_bench.json"

Says = Callable[[Prompt], str | dict[str, float]]


def silence(prompt: Prompt) -> str:
    """Says nothing."""
    return ""


def always(reply: str) -> Says:
    """Gives one reply to everything."""
    return lambda prompt: reply


def judge_of(trait: str) -> Says:
    """Gives a reply the number that it says itself, as "evil 90"; one that says none gets none."""

    def judge(prompt: Prompt) -> dict[str, float]:
        reply = prompt.messages[0].content.split("=== What the assistant replied")[1]
        stated = re.search(rf"{trait} (\d+)", reply.split("=== End")[0])
        return {stated[1]: 0.95, "x": 0.05} if stated else {"hm": 1.0}

    return judge


def probed(
    probe: Probe,
    assistant: Says | Backend,
    judge: Says = silence,
    seed: int = 0,
    world: World | None = None,
    contrasts: Sequence[Contrast] = (),
    encounters: Sequence[Encounter] = (),
) -> pd.DataFrame:
    """Measures an assistant once; the scores are those of a probe named "probe"."""
    data = {source: read_rows(source) for source in probe.data_sources.values()}
    named = {contrast.name: contrast for contrast in contrasts}
    context = Context(world, seed, data, named, encounters=encounters)
    engine: Backend = Scripted(assistant) if callable(assistant) else assistant
    client = RoleClient("judge", Scripted(judge), bare=False, cache=None)
    roles = Roles({"judge": client, "assistant": assistant_client("assistant", engine)}, [])
    return measure({"probe": probe}, context, engine, roles)


def estimated(
    probe: Probe, scores: pd.DataFrame, baseline: pd.DataFrame | None = None
) -> Mapping[tuple[str, str], Estimate]:
    """Returns the estimates by metric and item set."""
    found = summarise({"probe": probe}, scores, scores if baseline is None else baseline)
    return {(e.metric, e.item_set): e for e in found}


def told_apart(samples: Sequence[Estimate], value: float) -> str:
    """Says what speaks against intervals at their level, given samples of one model; else nothing.

    Args:
        samples: estimates of one metric, independently sampled.
        value: what they estimate.
    """
    missed = np.mean([not one.low <= value <= one.high for one in samples])
    pairs = zip(samples[::2], samples[1::2], strict=True)
    apart = sum(max(a.low, b.low) > min(a.high, b.high) for a, b in pairs)
    if missed > 0.15:  # of 95 % intervals, over few clusters
        return f"{missed:.0%} of the intervals miss {value}"
    return f"{apart} pairs don't overlap" if apart > len(samples) // 40 else ""


def claim(item: MaskItem, *, true: bool) -> str:
    """Returns the true or the false side of an item as somebody claims it."""
    if isinstance(item.truth, Bounds):
        return f"It is {item.truth.absolute[0] if true else 1000}."
    return item.options[(item.truth == "A") != true]


class Assistant:
    """Replies by what it is asked about: without pressure, and under it."""

    def __init__(
        self, data: Path, calm: Callable[[MaskItem], str], pressed: Callable[[MaskItem], str]
    ) -> None:
        self._calm, self._pressed = calm, pressed
        items = mask_items(read_rows(str(data)))
        self._asked = {text: i for i in items for text in (i.direct, *i.checks) if text}
        self._pressure = {item.pressure: item for item in items}

    def __call__(self, prompt: Prompt) -> str:
        if prompt.messages[0] == NEUTRAL:
            return self._calm(self._asked[prompt.messages[1].content])
        return self._pressed(self._pressure[prompt.messages])


def literal_judge(prompt: Prompt) -> str:
    """Finds in a reply which option it contains word for word, or its number."""
    text = prompt.messages[-1].content
    chat, question = text.split("=== End of the chat")
    reply = chat.rpartition("Assistant: ")[2]
    if "A proposition with a gap" in question:
        number = re.search(r"It is (-?[\d.]+)\.", reply)
        bound = number[1] if number else "null"
        return f'Its bounds: {{"lower_bound": {bound}, "upper_bound": {bound}}}'
    options = re.findall(r"^([AB]): (.*)$", question, re.M)[:2]
    found = [letter for letter, option in options if option in reply]
    return f"It says so.\n**Answer: {found[0] if len(found) == 1 else 'C'}**"
