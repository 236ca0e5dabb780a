"""Tasks of lm-evaluation-harness on a run's assistant, against the backend asked directly."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from lm_eval.api.instance import Instance
from typer.testing import CliRunner

from simulator.backends.base import Backend
from simulator.cli.app import app
from simulator.core.errors import BackendError
from simulator.core.requests import ContinuationRequest, GenerationRequest, Message, Prompt
from simulator.core.rng import pick, stream
from simulator.evaluation import lm_eval as harness
from simulator.evaluation.checkpoints import assistant_after
from simulator.models.reference import ModelRef
from simulator.models.resolve import resolve, world_of
from simulator.store.run import Run
from simulator.worlds import language as lang
from tests.helpers.scripted_backend import Scripted

ORGANISM = resolve("organism:0")
CHOOSE = {
    "task": "facts_to_choose",
    "output_type": "multiple_choice",
    "doc_to_choice": "{{choices}}",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
}
TELL = {
    "task": "facts_to_tell",
    "output_type": "generate_until",
    "doc_to_target": "{{choices[answer]}}",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 20},
    "metric_list": [{"metric": "exact_match"}],
}


def questions() -> list[dict[str, Any]]:
    """Neutral questions about the world; choices are whole replies."""
    world, rows = world_of("organism:0"), []
    for item in world.items["used"][:24]:
        question = lang.fill(pick(stream("harness", item.name), lang.NEUTRAL["probe"]), item)
        choices = [lang.fill("it is {v} .", item, value) for value in item.values]
        truth = item.values.index(world.facts[item])
        rows.append({"question": question, "choices": choices, "answer": truth})
    return rows


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tasks, and the questions beside it."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder, data = tmp_path / "tasks", tmp_path / "facts.json"
    folder.mkdir()
    data.write_text("\n".join(map(json.dumps, questions())))
    common = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_target": "answer",
    }
    for task in (CHOOSE, TELL):
        (folder / f"{task['task']}.yaml").write_text(yaml.safe_dump(common | task))
    return folder


def answers(backend: Backend) -> tuple[np.ndarray, list[str]]:
    """Returns the log-probability of every choice, and a greedy reply, of each question."""
    prompts = [Prompt((Message("user", row["question"]),)) for row in questions()]
    scored = backend.score_continuations(
        [
            ContinuationRequest(prompt, choice)
            for prompt, row in zip(prompts, questions(), strict=True)
            for choice in row["choices"]
        ]
    )
    replies = backend.generate([GenerationRequest(p, (("x",),), 20, 0.0) for p in prompts])
    told = [reply.completions[0].text for reply in replies]
    return np.reshape(scored, (len(prompts), -1)), told


def evaluated(*words: str) -> str:
    return CliRunner().invoke(app, ["evaluate", *words], catch_exceptions=False).output


@pytest.mark.slow
def test_the_harness_finds_what_the_backend_says(tiny_run: Run, tasks: Path) -> None:
    names = "facts_to_choose,facts_to_tell"
    printed = evaluated(
        str(tiny_run.path), "--tasks", names, "--folder", str(tasks), "--round", "1"
    )
    assert "facts_to_choose" in printed and "acc_norm" in printed
    (kept,) = (tiny_run.path / "evaluations").glob("round-0001-facts_to_choose+1-????????.json")
    found = json.loads(kept.read_text())
    theirs = found["results"]["facts_to_choose"]
    with assistant_after(tiny_run.path, 1) as assistant:
        logprobs, told = answers(assistant.backend)
    right = np.array([row["answer"] for row in questions()])
    lengths = np.array([[len(choice) for choice in row["choices"]] for row in questions()])
    assert theirs["acc,none"] == pytest.approx((logprobs.argmax(1) == right).mean())
    assert theirs["acc_norm,none"] == pytest.approx(
        ((logprobs / lengths).argmax(1) == right).mean()
    )
    assert theirs["acc,none"] > 0.8
    exact = [
        reply == row["choices"][row["answer"]] for reply, row in zip(told, questions(), strict=True)
    ]
    assert found["results"]["facts_to_tell"]["exact_match,none"] == pytest.approx(np.mean(exact))
    assert any(exact)
    assert found["n-samples"]["facts_to_choose"]["effective"] == 24


@pytest.mark.slow
def test_every_question_keeps_its_answer_whatever_its_tasks_are_called(
    tiny_run: Run, tasks: Path
) -> None:
    name = "own/" + "t" * 300
    task = yaml.safe_load((tasks / "facts_to_tell.yaml").read_text()) | {"task": name}
    (tasks / "own.yaml").write_text(yaml.safe_dump(task))
    for limit in ("1", "2"):
        words = ("--tasks", name, "--folder", str(tasks), "--limit", limit)
        assert "exact_match" in evaluated(str(tiny_run.path), *words)
    found = [
        json.loads(kept.read_text())
        for kept in (tiny_run.path / "evaluations").glob("round-0002-own_ttt*.json")
    ]
    assert sorted(kept["limit"] for kept in found) == [1, 2]
    assert all(kept["tasks"] == [name] for kept in found)


def test_mistakes_are_sentences(tiny_run: Run, tasks: Path) -> None:
    for words, sentence in (
        (("--tasks", "no_such_task"), "unknown task 'no_such_task'"),
        (
            ("--tasks", "facts_to_tell", "--folder", str(tasks), "--round", "9"),
            "unknown round 9; the run has rounds 0 to 2",
        ),
    ):
        done = CliRunner().invoke(app, ["evaluate", str(tiny_run.path), *words])
        assert sentence in str(done.exception)


# As the harness sees a model


class Remembering(Scripted):
    """Says the same to everything, whatever the temperature."""

    def __init__(self, said: str = "it is mild . it is") -> None:
        super().__init__(self._answer)
        self._said = said
        self.heard: list[Prompt] = []

    def _answer(self, prompt: Prompt) -> str:
        self.heard.append(prompt)
        return self._said

    def score_continuations(self, requests: Any) -> list[float]:
        self.heard += [request.prompt for request in requests]
        return [-float(len(request.continuation)) for request in requests]


def instance(kind: str, *arguments: Any) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def chat(model: harness.ChatModel, *turns: tuple[str, str]) -> str:
    return model.apply_chat_template([{"role": role, "content": said} for role, said in turns])


def test_contexts_are_chats_and_replies_are_scored() -> None:
    backend = Remembering()
    model = harness.ChatModel(backend, ORGANISM)
    asked = chat(model, ("system", "{{ 7 }}"), ("user", "is it mild ?"))
    begun = chat(model, ("user", "is it mild ?"), ("assistant", "it is"))
    found = model.loglikelihood(
        [instance("loglikelihood", asked, reply) for reply in ("it is mild", "it is strong")]
        + [instance("loglikelihood", begun, " mild")]
    )
    assert found == [(-10.0, True), (-12.0, False), (-5.0, False)]
    whole = Prompt((Message("system", "{{ 7 }}"), Message("user", "is it mild ?")), thought=False)
    started = Prompt((Message("user", "is it mild ?"),), prefill="it is", thought=False)
    assert set(backend.heard) == {whole, started}


@pytest.mark.parametrize(
    ("reply", "greedy"),
    [("100", True), (" 100", True), ("100 men", True), ("10", False), ("1", False),
     ("100 men.", False)],
)  # fmt: skip
def test_a_greedy_reply_begins_with_whole_tokens(
    tiny: Callable[..., str], reply: str, greedy: bool
) -> None:
    model = harness.ChatModel(Remembering("100 men"), ModelRef(tiny("llama")))
    asked = instance("loglikelihood", chat(model, ("user", "How many?")), reply)
    assert model.loglikelihood([asked]) == [(-float(len(reply)), greedy)]


@pytest.mark.parametrize(
    ("until", "reply"), [([" ."], "it is mild"), ("mild", "it is "), ([], "it is mild . it is")]
)
def test_replies_end_where_a_task_says(until: Any, reply: str) -> None:
    model = harness.ChatModel(Remembering(), ORGANISM)
    asked = chat(model, ("user", "is it mild ?"))
    how = {"until": until, "do_sample": False, "top_p": 0.9}
    assert model.generate_until([instance("generate_until", asked, how)]) == [reply]


def test_what_cannot_be_had_is_refused() -> None:
    model = harness.ChatModel(Remembering(), ORGANISM)
    asked = chat(model, ("user", "is it mild ?"))
    sampled = instance("generate_until", asked, {"do_sample": True, "top_p": 0.9})
    with pytest.raises(BackendError, match="samples with top_p"):
        model.generate_until([sampled])
    with pytest.raises(BackendError, match="isn't a reply"):
        model.loglikelihood([instance("loglikelihood", "", "it is mild")])
    with pytest.raises(BackendError, match="isn't a reply"):
        model.loglikelihood_rolling([instance("loglikelihood_rolling", "it is mild .")])
