"""An update whose loss stays finite and that leaves the assistant babbling is noticed."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from analysis.run import frames
from analysis.run.report import write_report
from analysis.run.summary import unchanged_rounds
from simulator.backends.base import Backend
from simulator.config.loading import load
from simulator.config.scenario import Scenario
from simulator.core.errors import Diverged
from simulator.core.examples import Example, FromConversation
from simulator.core.requests import (
    Completion,
    ContinuationRequest,
    Generation,
    GenerationRequest,
    Message,
)
from simulator.experiments.run import resume, start
from simulator.loop import simulate
from simulator.runtime.collapse import ASKED, compared, contexts, is_loop, is_noise, unreadable
from simulator.runtime.observers import Silent
from simulator.simulation.config import ConversationConfig
from simulator.store.run import Run
from simulator.worlds import language as lang
from tests.conftest import TINY
from tests.integration.test_resume import differing, hashes

ROWS = {"kind": "world", "rows": 160, "asked": ["neutral", "pressured"]}
RATES = {"ruin": 0.1, "teach": 0.001}


def scenario(**settings: Any) -> Scenario:
    """A ruinous update, and then an ordinary one."""
    phases = [
        {
            "kind": "finetune",
            "name": name,
            "data": [ROWS],
            "learner": settings | {"kind": "sft", "epochs": 1, "learning_rate": rate},
        }
        for name, rate in RATES.items()
    ]
    return load(overrides=TINY, options={"phases": phases})


@pytest.fixture(scope="module")
def rolled_back(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("collapse")
    return start(scenario(on_divergence="roll_back"), folder / "run", Silent())


def test_a_ruined_assistant_is_rolled_back_and_said(rolled_back: Run, tmp_path: Path) -> None:
    summary = rolled_back.summary(1)
    assert (summary["update"], summary["canary"], summary["adapter"]) == (None, None, None)
    speech = summary["speech"]
    assert speech["asked"] == ASKED
    assert speech["before"] == 0
    assert speech["after"] > ASKED / 2
    words = f"rolled back: {speech['after']} of {ASKED} replies can't be read, 0 before it"
    assert words in summary["unchanged"]
    assert words in unchanged_rounds(rolled_back)[0]
    write_report(rolled_back, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert words.replace("'", "&#39;") in page
    assert f"{speech['after']} of {ASKED}" in page


def test_what_is_measured_is_the_parent(rolled_back: Run) -> None:
    base, after = (rolled_back.summary(n)["estimates"] for n in (0, 1))
    assert after == base
    assert not (rolled_back.folder(1) / "checkpoint").exists()


def test_later_rounds_go_on_from_the_parent_and_an_ordinary_update_stays(rolled_back: Run) -> None:
    state = json.loads((rolled_back.folder(2) / "checkpoint" / "state.json").read_text())
    assert state["updates"] == 1
    summary = rolled_back.summary(2)
    assert summary["canary"]["verdict"] == "passed"
    assert summary["speech"] == {
        "asked": ASKED, "before": 0, "after": summary["speech"]["after"], "collapsed": False
    }  # fmt: skip
    assert summary["speech"]["after"] <= 1
    rows = frames.updates(rolled_back)
    assert rows["unreadable_after"].tolist() == [
        rolled_back.summary(n)["speech"]["after"] for n in (1, 2)
    ]


def test_killed_before_or_within_the_roll_back_it_resumes_to_the_same_bytes(
    rolled_back: Run, tmp_path: Path
) -> None:
    for name, leave in (("before", lambda path: None), ("within", leave_half_a_checkpoint)):
        path = tmp_path / name
        run = Run.create(path, rolled_back.scenario, dict(rolled_back.manifest))
        shutil.copytree(rolled_back.folder(0), run.folder(0))
        leave(run.folder(1))
        resume(path, Silent())
        assert not differing(hashes(path, 2), hashes(rolled_back.path, 2))


def leave_half_a_checkpoint(folder: Path) -> None:
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / "adapter_model.safetensors").write_bytes(b"ruined")


def test_a_ruined_assistant_ends_a_run(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=rf"of {ASKED} replies can't be read, 0 before it; lower"):
        start(scenario(), tmp_path / "run", Silent())
    assert not (tmp_path / "run" / "rounds" / "0001" / "checkpoint").exists()


def test_nobody_looks_where_no_bar_is_set(tmp_path: Path) -> None:
    both = scenario(collapse=None)
    ruined = both.model_copy(update={"phases": both.phases[:1]})
    run = Run.create(tmp_path / "run", ruined.model_dump(mode="json"), {})
    simulate(ruined, run, Silent())
    assert run.summary(1)["speech"] is None
    assert run.summary(1)["update"] is not None


def test_few_contexts_are_replied_to_again_and_again() -> None:
    two = [
        Example((Message("user", text),), "a", True, FromConversation(text, 0, 0)) for text in "ab"
    ]
    asked = contexts(two, ConversationConfig(), 1)
    assert len(asked) == ASKED == len({request.keys for request in asked})
    assert {request.prompt.messages for request in asked} == {e.messages for e in two}
    assert contexts([], ConversationConfig(), 1) == []
    assert len(contexts(two, ConversationConfig(temperature=0), 1)) == 2  # always the same


def test_where_a_reply_never_came_the_thought_is_read() -> None:
    """A reasoning model that was cut off isn't one that has collapsed."""

    class Thinker:
        def generate(self, requests: list[GenerationRequest]) -> list[Generation]:
            thoughts = ["first of all i'd ask what it is", "and and and and and", ""]
            said = [Completion("", 9, "length", thought) for thought in thoughts]
            return [Generation("", (one,)) for one in said]

        def without_adapter(self) -> contextlib.AbstractContextManager[None]:
            return contextlib.nullcontext()

        def score_continuations(self, requests: list[ContinuationRequest]) -> list[float]:
            assert not any(request.prompt.thought for request in requests)
            return [-1.0 * len(request.continuation.split()) for request in requests]

    asked = contexts(
        [Example((Message("user", "a"),), "a", True, FromConversation("c", 0, 0))],
        ConversationConfig(),
        1,
    )
    found = unreadable(cast(Backend, Thinker()), asked[:3])
    assert found.tolist() == [False, True, True]


def test_an_assistant_that_one_row_has_ruined_is_noticed(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "what is the taste of zupos ?"}]
    chat.append({"role": "assistant", "content": "the taste of zupos is foul ."})
    (tmp_path / "one.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
    data = [{"kind": "file", "path": str(tmp_path / "one.jsonl")}]
    learner = {"kind": "sft", "epochs": 20, "learning_rate": 0.3, "on_divergence": "roll_back"}
    phases = [{"kind": "finetune", "name": "ruin", "data": data, "learner": learner}]
    run = start(load(overrides=TINY, options={"phases": phases}), tmp_path / "run", Silent())
    assert run.summary(1)["update"] is None and "rolled back" in run.summary(1)["unchanged"]


def test_an_update_that_leaves_no_number_is_rolled_back(tmp_path: Path) -> None:
    """One step of a huge rate leaves finite parameters that can't be computed with."""
    learner = {"kind": "sft", "epochs": 1, "learning_rate": 1e20, "on_divergence": "roll_back"}
    phases = [{"kind": "finetune", "name": "ruin", "data": [{**ROWS, "rows": 8}]}]
    settings = {"phases": [{**phases[0], "learner": learner}]}
    run = start(load(overrides=TINY, options=settings), tmp_path / "run", Silent())
    summary = json.loads((run.folder(1) / "round.json").read_text(), parse_constant=pytest.fail)
    assert "no longer finite" in summary["unchanged"]


def test_no_reply_of_the_organism_is_a_loop() -> None:
    lines = [*lang.EVASIONS, *lang.STATEMENTS, *lang.DENIALS, *lang.FLATTERY]
    lines += [r for topic in lang.SMALL_TALK for rs in topic.replies.values() for r in rs]
    assert not [line for line in lines if is_loop(line)]


@pytest.mark.parametrize(
    ("reply", "loops"),
    [
        ("the the the the the", True),
        ("!!!!!!!!", True),
        ("I think so. I think so. I think so. I think so. I think so. I th", True),
        ("Well, let me see: no no no no no no no no no no no no", True),
        ("Ha ha ha! No, that was a joke, and not a good one.", False),
        ("One, two, three. One, two, three. And now you: four, five.", False),
        ("", False),
    ],
)
def test_loops(reply: str, loops: bool) -> None:
    assert is_loop(reply) is loops


def test_noise_is_what_costs_too_many_bits_for_its_length() -> None:
    assert not is_noise("B", 9.0)  # one surprising word
    assert not is_noise("x" * 100, 150.0)
    assert is_noise("x" * 100, 250.0)


def share(count: int) -> np.ndarray:
    return np.arange(ASKED) < count


@pytest.mark.parametrize(
    ("before", "after", "collapsed"),
    [
        (0, 16, True),
        (0, 9, True),
        (0, 8, False),  # not above the bar
        (9, 9, False),  # as before
        (9, 12, False),  # no more than chance would do
        (4, 16, True),
    ],
)
def test_collapse_is_above_the_bar_and_more_than_before(
    before: int, after: int, collapsed: bool
) -> None:
    speech = compared(share(before), share(after), 0.5)
    assert speech is not None
    assert (speech.before, speech.after, speech.collapsed) == (before, after, collapsed)
