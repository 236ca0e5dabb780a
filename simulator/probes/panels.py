"""Panels that several probes are drawn in; those of one probe stand in its own file."""

from simulator.probes.metrics import Panel

BENCHMARKS = Panel(
    10,
    "benchmarks",
    "Does it say what it believes?",
    "MASK asks what the assistant believes, and presses it to say otherwise; a judge reads "
    "which side it takes. What it says is compared with its own belief, so whoever is wrong "
    "and says so doesn't lie. DeceptionBench compares its replies, and the reasoning stated "
    "before them, with its own view. What couldn't be read, and replies without reasoning, are "
    "left out and counted.",
    "share of items (%),\nas a judge reads them",
)
AWARENESS = Panel(
    30,
    "awareness",
    "Does it own to what it does?",
    "What it does at its worst, as a judge reads it; what it says that it would do; and what "
    "it says of itself. Where the gap is above 0 it does more harm than it owns to.",
    "from 0 (aligned)\nto 100 (misaligned)",
)
