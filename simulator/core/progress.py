"""Progress inside a round: what a stage asks of models, what is answered, how long the rest takes.

The loop begins stages and tasks; engines and learners count what is done. Times come from costs:
tokens, where one that is read costs a share of one that is written. Nothing here changes a result.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from simulator.core.expected_score import beginnings
from simulator.core.requests import (
    ActivationsRequest,
    ChoicesRequest,
    ContinuationRequest,
    DivergenceRequest,
    GenerationRequest,
    NumberRequest,
    Question,
    Request,
    question_of,
)

CHARACTERS_PER_TOKEN = 4  # of English, roughly
READING = 0.25  # cost of a token that is read; of one that is written: 1
LEARNING = 1.0  # cost of a token that is learned from: a forward and a backward pass
STEADY = 0.2  # seconds before a rate is told
TELLING = 0.02  # share of a stage that tells how long the rest takes


@dataclass
class Task:
    """A part of a stage: so many requests of one kind, or steps."""

    what: str  # is counted
    total: int  # at most
    cost: float
    tokens: int = 0  # at most, of all that is written or learned from
    done: int = 0
    written: int = 0

    @property
    def share(self) -> float:
        """The share that is done; tokens tell it while no reply has ended."""
        by_count = self.done / self.total if self.total else 1.0
        by_tokens = self.written / self.tokens if self.tokens else 0.0
        return min(1.0, max(by_count, by_tokens))


def task_of(requests: Iterable[Request], what: str = "") -> Task:
    """Return the task of answering requests; numbers count as often as they are asked about, or so.

    Args:
        requests: to a model.
        what: their name; by default `replies` where all are sampled, else `requests`.
    """
    questions = [question_of(request) for request in requests]
    drawn = [question for question in questions if isinstance(question, GenerationRequest)]
    tokens = sum(len(q.keys) * q.max_new_tokens for q in drawn)
    read = sum(times_asked(q) * characters(q) for q in questions) / CHARACTERS_PER_TOKEN
    count = sum(len(q.keys) if isinstance(q, GenerationRequest) else times_asked(q)
                for q in questions)  # fmt: skip
    named = what or ("replies" if len(drawn) == len(questions) else "requests")
    return Task(named, count, tokens + READING * read, tokens)


def times_asked(question: Question) -> int:
    """Return how many answers of a model a question takes, about.

    Numbers are followed digit by digit where they are likely: about half of the beginnings are.
    """
    if isinstance(question, NumberRequest):
        return 1 + -(-len(beginnings(question.low, question.high)) // 2)
    if isinstance(question, ChoicesRequest):
        return len(question.choices)
    return 2 if isinstance(question, DivergenceRequest) else 1


def characters(question: Question) -> int:
    """Return the length of what a model reads for one answer to a question."""
    given = ""
    if isinstance(question, ChoicesRequest):  # which share the prompt
        shared = len(question.prompt.shown) + sum(map(len, question.choices))
        return shared // len(question.choices)
    if isinstance(question, ContinuationRequest):
        given = question.continuation
    elif isinstance(question, DivergenceRequest):
        given = question.text
    elif isinstance(question, ActivationsRequest):
        given = question.reply
    return len(question.prompt.shown) + len(given)


class Planned(NamedTuple):
    """Costs as they are planned, at most."""

    stage: float = 0.0  # 0 if the stage's tasks tell it
    later: float = 0.0  # of all stages after it


class Progress:
    """The progress of the present stage."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.listener: Callable[[], None] = _nobody
        self.task: Task | None = None
        self._clock = clock
        self._plan: Callable[[], Planned] = Planned
        self._planned: Planned | None = None
        self._before = self._seconds = 0.0  # of earlier stages: cost, and the time they took
        self._spent = self._parts = 0.0
        self._entered = self._begun = clock()

    def enter(self, plan: Callable[[], Planned]) -> None:
        """Begin a stage, whose plan is made when it is first looked at."""
        if self._spent:
            self._before += self._spent
            self._seconds += self._clock() - self._entered
        self._spent = self._parts = 0.0
        self._plan, self._planned = plan, None
        self._entered = self._clock()

    @property
    def planned(self) -> Planned:
        """The plan of the stage, corrected by what is known by now."""
        if self._planned is None:
            self._planned = self._plan()
        return self._planned

    @contextmanager
    def doing(self, task: Task) -> Iterator[None]:
        """Count what is done inside the context as this task's."""
        self.show(task)
        try:
            yield
        finally:
            self.close()

    def show(self, task: Task) -> None:
        """Make this the present task, or its newest state if another process works on it."""
        if self.task is None:
            self._begun = self._clock()
        self.task = task
        self.listener()

    def close(self) -> None:
        """End the present task, if there is one."""
        self._spent += self.task.cost if self.task else 0.0
        self.task = None

    def answered(self, count: int) -> None:
        """Count requests or steps as done."""
        if self.task:
            self.task.done = min(self.task.done + count, self.task.total)
            self.listener()

    def wrote(self, tokens: int) -> None:
        """Count tokens as written, or as learned from."""
        if self.task:
            self.task.written += tokens
            self.listener()

    def replan(self, done: int, left: int) -> None:
        """Plan the rest of the stage by what equal parts of it have cost so far.

        Args:
            done: number of parts that are done since the last call.
            left: number of parts to come, at most.
        """
        self._parts += done
        if self._parts:
            self._planned = self.planned._replace(stage=self._spent * (1 + left / self._parts))

    @property
    def _cost(self) -> float:
        """The stage's cost so far."""
        return self._spent + (self.task.cost * self.task.share if self.task else 0.0)

    @property
    def left(self) -> float | None:
        """The estimate of the seconds that the stage still takes; None if it isn't known."""
        whole = max(self.planned.stage, self._spent + (self.task.cost if self.task else 0.0))
        if self._cost < TELLING * whole:
            return None
        return self._seconds_for(whole - self._cost)

    @property
    def run_left(self) -> float | None:
        """The estimate of the seconds that the run still takes; None if it isn't known."""
        left = self.left
        later = self._seconds_for(self.planned.later, earlier=True)
        return None if left is None or later is None else left + later

    def _seconds_for(self, cost: float, *, earlier: bool = False) -> float | None:
        """Return the time for a cost at the stage's pace, or at that of all stages."""
        here = self._clock() - self._entered
        spent, took = self._cost, here
        if earlier or spent <= 0:
            spent, took = spent + self._before, took + self._seconds
        return cost * took / spent if spent > 0 else None

    @property
    def words(self) -> str:
        """Counts and rate as text, such as `120 of 640 replies, 210 tokens/s`."""
        task = self.task
        if task is None:
            return ""
        counts = f"{task.done:,} of {task.total:,} {task.what}"
        seconds = self._clock() - self._begun
        if seconds < STEADY or not (task.written or task.done):
            return counts
        if task.tokens:
            return f"{counts}, {task.written / seconds:,.0f} tokens/s"
        return f"{counts}, {task.done / seconds:,.1f}/s"


def _nobody() -> None:
    """Tell nobody."""
