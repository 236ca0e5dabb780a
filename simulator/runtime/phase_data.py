"""The training rows of phases, split over their rounds."""

from collections.abc import Sequence

import numpy as np

from simulator.config.phases import (
    AnyPhase,
    FinetunePhase,
    LoopPhase,
    Place,
    ProbePhase,
    matched_phase,
)
from simulator.core.errors import ScenarioError
from simulator.core.examples import Example
from simulator.core.rng import stream
from simulator.data.encoding_checks import Check
from simulator.data.lengths import Tokens, matching
from simulator.data.mixture import by_turn, flat, mixed
from simulator.learners.config import AnyLearner
from simulator.worlds.base import World

MOST_PAIRS = 500_000_000  # of lengths that are compared, a byte each


def dealt(rows: Sequence[Sequence[Example]], part: int, parts: int) -> list[Example]:
    """Return the examples of one of a phase's rounds."""
    return flat(rows[part::parts])


def anchors_of(phase: AnyPhase, world: World | None, seed: int, check: Check) -> list[Example]:
    """Return the chats on which an update keeps the assistant near its reference."""
    if isinstance(phase, ProbePhase):
        return []
    return mixed(phase.anchors, world, stream("anchors", seed), check)


def finetune_rows(
    phases: Sequence[AnyPhase],
    index: int,
    world: World | None,
    seed: int,
    tokens: Tokens,
    check: Check,
) -> list[Example]:
    """Return all rows of a fine-tuning phase, in the order of their rounds.

    Raises:
        ScenarioError: data can't be read, or are too few to be matched in length.
    """
    phase = phases[index]
    assert isinstance(phase, FinetunePhase)
    rows = mixed(phase.data, world, stream("finetune", seed, index), check)
    other = matched_phase(phases, index)
    if phase.match_lengths is None or other is None:
        return rows
    if not all(row.desirable for row in rows):
        raise ScenarioError(
            f"phases.{index}.match_lengths: replies are drawn one by one, but these data have "
            "undesirable ones, alone or in pairs"
        )
    followed = [r for r in finetune_rows(phases, other, world, seed, tokens, check) if r.desirable]
    wanted = tokens(followed)
    count = phase.match_lengths.rows or len(wanted)
    if count > len(rows):
        raise ScenarioError(
            f"phases.{index}.match_lengths: {count} rows are to be drawn, but there are "
            f"{len(rows)}; give more data, or set rows"
        )
    if count * len(rows) > MOST_PAIRS:
        raise ScenarioError(
            f"phases.{index}.match_lengths: {count:,} rows out of {len(rows):,} are too many to be "
            f"matched; at most {MOST_PAIRS:,} pairs of them"
        )
    return [rows[i] for i in matching(tokens(rows), wanted, count)]


def given_examples(
    phases: Sequence[AnyPhase],
    place: Place,
    recycled: Sequence[Example],
    learner: AnyLearner,
    world: World | None,
    seed: int,
    number: int,
    tokens: Tokens,
    check: Check,
) -> list[Example]:
    """Return a round's training examples from outside its conversations.

    Args:
        phases: all phases of the run.
        place: of the round.
        recycled: the examples selected by users' ratings.
        learner: the round's learner; static data are a fraction of its examples.
        world: the organism's.
        seed: of the run.
        number: of the round.
        tokens: counts the tokens of replies.
        check: says which rows the model can't read, for sources that leave bad rows out.

    Raises:
        ScenarioError: data can't be read, or are fewer than their fraction asks for.
    """
    phase = place.phase
    if isinstance(phase, FinetunePhase):
        rows = by_turn(finetune_rows(phases, place.index, world, seed, tokens, check))
        return dealt(rows, place.part, place.parts)
    if not isinstance(phase, LoopPhase) or phase.static is None:
        return []
    learned, fraction = len(learner.learned(recycled)), phase.static.fraction
    wanted = round(learned * fraction / (1 - fraction))
    static = mixed(phase.static.data, world, stream("static data", seed, number), check)
    given = _first(wanted, [learner.learned(row) for row in by_turn(static)])
    if len(given) < wanted:
        raise ScenarioError(
            f"phases.{place.index}.static: round {number} needs {wanted} replies for its fraction, "
            f"but there are {len(given)}"
        )
    return given


def _first(wanted: int, rows: Sequence[Sequence[Example]]) -> list[Example]:
    """Return the replies of the first rows that have at least so many, or all."""
    before = np.cumsum([0, *map(len, rows)])
    return flat(row for row, count in zip(rows, before[:-1], strict=True) if count < wanted)
