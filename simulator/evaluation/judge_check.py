"""Comparing a judge with people, on replies that people have labelled."""

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.markup import escape
from rich.table import Table

from simulator.backends.factory import open_backend
from simulator.config.scenario import Scenario
from simulator.core.errors import ScenarioError, unknown
from simulator.core.judging import Found, ask_number
from simulator.core.timing import Stopwatch
from simulator.evaluation.agreement import cohens_kappa, confusion
from simulator.evaluation.labels import Labelled, Labels, labels_of
from simulator.probes.judged.scales import JudgedProbe, Scale
from simulator.simulation.config import RoleConfig
from simulator.simulation.roles import RoleClient, Roles


class Question(NamedTuple):
    """The question about each reply, its judge, and the answers that count as yes."""

    name: str
    scale: Scale
    role: str
    threshold: float  # an answer with this number or more is a yes
    of_labels: float  # the same for labels
    positive: str | None  # the label that is a yes, where labels are words


def judge_check(
    file: Path,
    rows: Sequence[Labelled],
    scenario: Scenario,
    judge: RoleConfig | None,
    asked: Question,
) -> Table:
    """Ask the judge about every labelled reply, and compare.

    Args:
        file: where the labels are from.
        rows: labelled replies.
        scenario: whose judge is asked, if no other is given.
        judge: asked instead.
        asked: the question.

    Raises:
        ScenarioError: the labels can't be used; then nothing is asked.
    """
    given = labels_of([row.label for row in rows], asked.of_labels, asked.positive, file)
    labels = given.yes
    found = _judgements(rows, scenario, judge, asked)
    read = np.array([one.value is not None for one in found])
    ours = np.array([one.value is not None and one.value >= asked.threshold for one in found])
    return _table(asked, given, labels[read], ours[read], unread=int((~read).sum()))


def question_of(
    scenario: Scenario,
    name: str | None,
    *,
    threshold: float | None,
    of_labels: float | None,
    positive: str | None,
) -> Question:
    """Return the question of the scenario's judged probe.

    Args:
        scenario: has the probe.
        name: of the scale; by default the first.
        threshold: the smallest answer that is a yes; by default the scale's middle.
        of_labels: the same for labels; by default as for answers.
        positive: the label that is a yes, where labels are words.

    Raises:
        ScenarioError: the scenario has no such scale, or a threshold isn't finite.
    """
    for option, given in (("threshold", threshold), ("label-threshold", of_labels)):
        if given is not None and not math.isfinite(given):
            raise ScenarioError(f"--{option} {given}: invalid threshold; must be a finite number")
    probes = [p for p in scenario.measure.probes.values() if isinstance(p, JudgedProbe)]
    scales = {key: (p, scale) for p in probes for key, scale in p.scales.items()}
    if not scales:
        raise ScenarioError(f"--scenario {scenario.name}: missing probe of kind 'judged'")
    chosen = name or next(iter(scales))
    if chosen not in scales:
        raise ScenarioError(f"--scale: {unknown('scale', chosen, scales)}")
    probe, scale = scales[chosen]
    level = (scale.low + scale.high) / 2 if threshold is None else threshold
    labels = level if of_labels is None else of_labels
    return Question(chosen, scale, probe.role, level, labels, positive)


def _judgements(
    rows: Sequence[Labelled], scenario: Scenario, judge: RoleConfig | None, asked: Question
) -> list[Found]:
    judge = judge or scenario.roles.get(asked.role)
    judge = judge or RoleConfig(model=scenario.model, backend=scenario.backend)
    engine = open_backend(judge.backend, scenario.role_ref(judge), Stopwatch())
    with contextlib.closing(engine):
        roles = Roles({asked.role: RoleClient(judge.model, engine, bare=False, cache=None)}, ())
        scale = asked.scale
        return roles.ask(
            ask_number(
                asked.role, scale.question, scale.low, scale.high, prompt=r.prompt, reply=r.reply
            )
            for r in rows
        )


def _table(
    asked: Question, given: Labels, theirs: np.ndarray, ours: np.ndarray, unread: int
) -> Table:
    """Return the confusion table with κ below it."""
    table = Table(
        title=f"{asked.name}: people and the judge (yes: {asked.threshold:g} or more)",
        caption=escape(f"{_agreement(ours, theirs, unread)} {given.taken}"),  # labels are theirs
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("people say")
    table.add_column("judge: no", justify="right")
    table.add_column("judge: yes", justify="right")
    for word, counts in zip(("no", "yes"), confusion(ours, theirs), strict=True):
        table.add_row(word, *map(str, counts))
    return table


def _agreement(ours: np.ndarray, theirs: np.ndarray, unread: int) -> str:
    if not len(ours):
        return f"None of the judge's {unread} answers was a readable number, so it can't judge."
    kappa = cohens_kappa(ours, theirs)
    return (
        f"Cohen's κ {kappa.value:.2f} [{kappa.low:.2f} to {kappa.high:.2f}], a 95 % bootstrap "
        f"interval over {len(ours)} replies; of {unread} more the judge's answer was no number."
    )
