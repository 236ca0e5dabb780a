"""Progress inside a round: counts, rates, and the time that the rest takes."""

import pytest

from simulator.core.progress import Planned, Progress, Task, task_of
from simulator.core.requests import (
    ContinuationRequest,
    GenerationRequest,
    Message,
    NextTokenRequest,
    NumberRequest,
    Prompt,
    Request,
)

SHORT = Prompt((Message("user", "x" * 34),))  # "user: " and 34 characters: 10 tokens


def drawn(samples: int, tokens: int) -> GenerationRequest:
    return GenerationRequest(SHORT, tuple(("key", n) for n in range(samples)), tokens)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    return Progress(clock)


def test_every_sample_is_a_reply_and_a_prompt_is_read_once() -> None:
    found = task_of([drawn(3, 20), drawn(1, 40)])
    assert (found.what, found.total, found.tokens) == ("replies", 4, 100)
    assert found.cost == 100 + 0.25 * 20


def test_numbers_count_as_often_as_half_of_their_beginnings_ask() -> None:
    mixed: list[Request] = [drawn(2, 5), NextTokenRequest(SHORT, ("a",))]
    mixed += [ContinuationRequest(SHORT, "y" * 8), NumberRequest(SHORT, 0, 100)]
    found = task_of(mixed)
    assert (found.what, found.total, found.tokens) == ("requests", 2 + 1 + 1 + 6, 10)
    assert found.cost == 10 + 0.25 * (10 + 10 + 12 + 60)
    assert task_of([NumberRequest(SHORT, 1, 9)], "requests to the judge").total == 1


def test_tokens_tell_the_share_while_no_reply_has_ended() -> None:
    task = Task("replies", 4, 80, tokens=80)
    assert task.share == 0
    task.written = 20
    assert task.share == 0.25
    task.done = 2  # they ended early
    assert task.share == 0.5
    task.written = 100
    assert task.share == 1
    assert Task("replies", 0, 0).share == 1


def test_the_rest_takes_as_long_as_its_cost(progress: Progress, clock: Clock) -> None:
    progress.enter(lambda: Planned(300, 600))
    with progress.doing(Task("replies", 10, 100, tokens=100)):
        assert progress.left is None and progress.run_left is None
        clock.now += 5
        progress.wrote(50)
        assert progress.words == "0 of 10 replies, 10 tokens/s"
        assert progress.left == pytest.approx(25)  # 250 of 300 at 10 a second
        assert progress.run_left == pytest.approx(25 + 60)
        progress.answered(10)
    clock.now += 5
    assert progress.words == ""
    assert progress.left == pytest.approx(20)
    progress.enter(lambda: Planned(100, 0))
    assert progress.left is None  # nothing of the new stage is done
    with progress.doing(Task("requests", 4, 100)):
        clock.now += 2
        progress.answered(1)
        assert progress.words == "1 of 4 requests, 0.5/s"
        assert progress.left == pytest.approx(6)


def test_parts_so_far_tell_what_later_parts_cost(progress: Progress, clock: Clock) -> None:
    """Of four people two leave after the first turn, and another wave of four is to come."""
    progress.enter(lambda: Planned(1000, 0))
    with progress.doing(Task("replies in turn 1", 4, 40, tokens=40)):
        clock.now += 4
        progress.wrote(40)
    progress.replan(4, 4 * 2)
    assert progress.planned.stage == 120
    assert progress.left == pytest.approx(8)
    with progress.doing(Task("replies in turn 2", 2, 20, tokens=20)):
        clock.now += 2
    progress.replan(2, 4 * 2)
    assert progress.left == pytest.approx(8)


def test_more_than_was_asked_for_is_never_done(progress: Progress) -> None:
    progress.answered(3)  # outside any task
    with progress.doing(Task("requests", 2, 2)):
        progress.answered(3)
        assert progress.task == Task("requests", 2, 2, done=2)
    assert progress.left is not None and progress.left == 0


def test_a_plan_is_made_only_when_somebody_asks(progress: Progress) -> None:
    def never() -> Planned:
        raise AssertionError

    progress.enter(never)
    with progress.doing(Task("requests", 2, 2)):
        progress.answered(1)
        assert progress.words.startswith("1 of 2 requests")


def test_another_process_shows_its_task_again_and_again(progress: Progress, clock: Clock) -> None:
    for step in (1, 2):
        clock.now += 10
        progress.show(Task("steps", 4, 400, tokens=400, done=step, written=100 * step))
    assert progress.words == "2 of 4 steps, 20 tokens/s"
    progress.close()
    assert progress.task is None
