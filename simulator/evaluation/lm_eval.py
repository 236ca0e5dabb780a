"""Running tasks of lm-evaluation-harness on the assistant after a round.

The assistant is a chat model, so every context is a chat (the harness's `apply_chat_template`, its
examples as turns), and replies are scored or generated. So perplexities of plain text aren't
available.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager
from rich.table import Table

from simulator.backends.base import Backend
from simulator.core.errors import BackendError, ScenarioError
from simulator.core.files import write_atomically
from simulator.core.messages import messages_from_json, messages_to_json
from simulator.core.requests import ContinuationRequest, GenerationRequest, Message, Prompt
from simulator.evaluation.checkpoints import assistant_after
from simulator.models.chat_template import encoder_of
from simulator.models.reference import ModelRef

LONGEST_REPLY = 256  # tokens, where a task doesn't set them
LONGEST_NAME = 80  # characters of a task's name in that of a file
UNDERSTOOD = {"until", "do_sample", "temperature", "max_gen_toks"}
NO_REPLY = "the task scores text that isn't a reply to a prompt; only replies can be scored"
KEPT = ("results", "groups", "versions", "n-shot", "n-samples", "higher_is_better")


class ChatModel(LM):  # type: ignore[misc]  # lm_eval isn't always installed
    """A backend as the harness sees a model."""

    def __init__(self, backend: Backend, model: ModelRef) -> None:
        super().__init__()
        self._backend, self._model = backend, model

    @property
    def tokenizer_name(self) -> str:
        """The name of the chat template's model."""
        return self._model.path

    def apply_chat_template(
        self, chat_history: Sequence[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Return a chat as JSON, which the backend renders."""
        return messages_to_json(Message(m["role"], m["content"]) for m in chat_history)

    def loglikelihood(self, requests: Sequence[Instance], **_: Any) -> list[tuple[float, bool]]:
        """Score replies: the log-probability in nats, and whether a greedy reply begins so.

        A reasoning model is asked without a thought; else its reply would begin with the thought.
        """
        asked = [
            (_prompt(context)._replace(thought=False), reply)
            for context, reply in (r.args for r in requests)
        ]
        # First, as an endpoint refuses it, and nobody knows its tokenizer.
        scores = self._backend.score_continuations([ContinuationRequest(*pair) for pair in asked])
        encode = encoder_of(self._model).encode_replies
        tokens = encode([reply for _, reply in asked])
        longest: dict[Prompt, int] = {}
        for (prompt, _), ids in zip(asked, tokens, strict=True):
            longest[prompt] = max(longest.get(prompt, 1), len(ids))
        wanted = [
            GenerationRequest(prompt, (("greedy",),), length, temperature=0.0)
            for prompt, length in longest.items()
        ]
        # Token by token, as "Paris" doesn't begin with "Par"; backends strip what they say.
        greedy = dict(zip(longest, encode(self._replies(wanted)), strict=True))
        begins = encode([reply.strip() for _, reply in asked])
        return [
            (score, greedy[prompt][: len(ids)] == ids)
            for (prompt, _), ids, score in zip(asked, begins, scores, strict=True)
        ]

    def loglikelihood_rolling(self, requests: Sequence[Instance], **_: Any) -> list[float]:
        """Refuse: plain text isn't a reply.

        Raises:
            BackendError: always.
        """
        raise BackendError(NO_REPLY)

    def generate_until(self, requests: Sequence[Instance], **_: Any) -> list[str]:
        """Generate replies, up to their stop strings.

        Raises:
            BackendError: a task samples otherwise than by temperature.
        """
        asked = [(_prompt(request.args[0]), request.args[1]) for request in requests]
        replies = self._replies([_generation(*pair, n) for n, pair in enumerate(asked)])
        return [
            _ended(reply, how.get("until") or ())
            for reply, (_, how) in zip(replies, asked, strict=True)
        ]

    def _replies(self, wanted: Sequence[GenerationRequest]) -> list[str]:
        return [found.completions[0].text for found in self._backend.generate(wanted)]


def _prompt(context: str) -> Prompt:
    """Read a chat; a last message of the assistant is a prefill."""
    if not context:
        raise BackendError(NO_REPLY)
    messages = messages_from_json(context)
    if messages[-1].role == "assistant":
        return Prompt(messages[:-1], prefill=messages[-1].content, thought=False)
    return Prompt(messages)


def _generation(prompt: Prompt, how: Mapping[str, Any], number: int) -> GenerationRequest:
    """Return the request for a task's reply; `number` distinguishes repeated requests."""
    sampled = bool(how.get("do_sample")) and how.get("temperature") != 0
    strange = sorted(how.keys() - UNDERSTOOD)
    if sampled and strange:
        raise BackendError(
            f"the task samples with {', '.join(strange)}; only temperature is supported"
        )
    temperature = float(how.get("temperature", 1.0)) if sampled else 0.0
    longest = int(how.get("max_gen_toks", LONGEST_REPLY))
    return GenerationRequest(prompt, (("harness", number),), longest, temperature)


def _ended(reply: str, until: str | Sequence[str]) -> str:
    for end in (until,) if isinstance(until, str) else until:
        reply = reply.partition(end)[0] if end else reply
    return reply


def evaluate(
    path: Path,
    round_number: int | None,
    tasks: Sequence[str],
    *,
    folder: Path | None = None,
    shots: int | None = None,
    limit: int | None = None,
) -> Table:
    """Ask the harness's tasks of a run's assistant; the results are kept in the run.

    Args:
        path: the run.
        round_number: after which round; None: the last.
        tasks: names of tasks or groups.
        folder: with the user's own YAML tasks.
        shots: examples before each question; None: as each task has it.
        limit: largest number of questions per task.

    Raises:
        ScenarioError: there is no such task.
        BackendError: a task asks for what isn't a reply, or the backend scores none.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    manager = TaskManager(include_path=str(folder) if folder else None)
    if unknown := [task for task in tasks if not manager.match_tasks([task])]:
        raise ScenarioError(
            f"--tasks: unknown task '{unknown[0]}'; use --folder for your own tasks"
        )
    with assistant_after(path, round_number) as (backend, scenario, run, number):
        if "score_continuations" not in backend.capabilities:
            raise BackendError(f"'{scenario.backend.kind}' can't score replies")
        found = simple_evaluate(
            ChatModel(backend, scenario.assistant_ref),
            tasks=list(tasks),
            num_fewshot=shots,
            limit=limit,
            task_manager=manager,
            apply_chat_template=True,
            fewshot_random_seed=scenario.seed,
            log_samples=False,
        )
    asked = {"tasks": sorted(tasks), "folder": folder, "shots": shots, "limit": limit}
    kept = run.path / "evaluations" / f"round-{number:04d}-{_name(asked)}.json"
    content = {key: found[key] for key in KEPT if key in found} | {"round": number, **asked}
    write_atomically(kept, json.dumps(content, indent=1, default=str).encode())
    return _table(found["results"], kept)


def _name(asked: Mapping[str, Any]) -> str:
    """Return a file name by the settings, so only equal settings replace a result."""
    first, *others = asked["tasks"]
    more = f"+{len(others)}" if others else ""
    digest = hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', first)[:LONGEST_NAME]}{more}-{digest}"


def _table(results: Mapping[str, Mapping[str, Any]], kept: Path) -> Table:
    table = Table(title=f"kept in {kept}", title_justify="left")
    for heading in ("task", "metric", "value", "standard error"):
        table.add_column(heading, justify="left" if heading in ("task", "metric") else "right")
    for task, found in results.items():
        for key, value in found.items():
            metric, _, filtered = key.partition(",")
            if metric.endswith("_stderr") or not isinstance(value, float):
                continue
            error = found.get(f"{metric}_stderr,{filtered}")
            told = f"{error:.3f}" if isinstance(error, float) else "–"
            table.add_row(task, metric, f"{value:.3f}", told)
    return table
