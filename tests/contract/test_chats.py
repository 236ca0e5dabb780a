"""Chats as models know them: their room, their system message, their thoughts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from simulator.backends.config import TransformersConfig
from simulator.backends.factory import open_backend
from simulator.core.errors import BackendError
from simulator.core.requests import (
    ContinuationRequest,
    GenerationRequest,
    NextTokenRequest,
    Prompt,
    TopTokensRequest,
)
from simulator.core.timing import Stopwatch
from simulator.models.chat_template import PromptEncoder, encoder_of
from simulator.models.limits import end_tokens
from simulator.models.reference import ModelRef
from simulator.models.thoughts import split_thought
from tests.contract.engines import CHATS, Engine, Engines, chat

SYSTEM = "you are an honest assistant ."
TURNS = ("what is the taste of zupos ?", "it is foul .")
LONGEST = 8


def ask(prompt: Prompt, temperature: float = 1.0) -> GenerationRequest:
    return GenerationRequest(prompt, (("chat", 0),), LONGEST, temperature)


def shortened(prompt: Prompt, dropped: int) -> Prompt:
    start = 1 if prompt.messages[0].role == "system" else 0
    kept = (*prompt.messages[:start], *prompt.messages[start + dropped :])
    return prompt._replace(messages=kept)


@pytest.mark.parametrize("system", ["", SYSTEM])
def test_the_oldest_turns_go_where_there_is_no_room(engine: Engine, system: str) -> None:
    context = engine.reference.context
    long = chat(*TURNS * (context // 14), TURNS[0], system=system)
    found, short = engine.backend.generate([ask(long), ask(CHATS[0])])
    assert short.dropped == 0 and found.dropped > 0 and found.dropped % 2 == 0
    kept = shortened(long, found.dropped)
    shown = kept.shown if engine.kind == "openai" else engine.reference.text(kept)
    assert found.prompt == shown and system in shown
    room = 0 if engine.kind == "openai" else LONGEST  # an endpoint may rather cut the reply short
    length = len(engine.reference.ids(kept)) + room
    longer = len(engine.reference.ids(shortened(long, found.dropped - 2))) + LONGEST
    assert length <= context < longer  # no more than needed
    assert found.completions == engine.backend.generate([ask(kept)])[0].completions


def test_a_message_that_has_no_room_is_refused(engine: Engine) -> None:
    context = engine.reference.context
    for prompt in (chat("hope " * context), chat(*TURNS, "hope " * context, system=SYSTEM)):
        with pytest.raises(BackendError, match="a prompt is too long"):
            engine.backend.generate([ask(CHATS[0]), ask(prompt)])
    assert engine.backend.generate([ask(CHATS[0])])[0].completions


def test_room_is_left_for_what_is_to_come(local: Engine, engines: Engines) -> None:
    """As many tokens as there is room for are no reason to drop a turn; one more is."""
    prompt, key = chat(*TURNS * 6, TURNS[0]), (("chat", 0),)
    needed = len(local.reference.ids(prompt))
    backend = engines.transformers(local.model, context=needed + LONGEST)
    asked = [GenerationRequest(prompt, key, LONGEST), GenerationRequest(prompt, key, LONGEST + 1)]
    assert [found.dropped for found in backend.generate(asked)] == [0, 2]
    reply = TURNS[1]
    ids = local.reference.tokenizer(reply, add_special_tokens=False)["input_ids"]
    for room, dropped in ((len(ids), 0), (len(ids) - 1, 2)):
        backend = engines.transformers(local.model, context=needed + room)
        kept = shortened(prompt, dropped)
        (score,) = backend.score_continuations([ContinuationRequest(prompt, reply)])
        (own,) = local.backend.score_continuations([ContinuationRequest(kept, reply)])
        assert score == pytest.approx(own, rel=1e-5, abs=1e-5)
    backend = engines.transformers(local.model, context=needed)
    (top,) = backend.top_tokens([TopTokensRequest(prompt)])
    (expected,) = local.backend.top_tokens([TopTokensRequest(shortened(prompt, 2))])
    assert top == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_the_system_message_reaches_every_model(local: Engine) -> None:
    prompt = chat("hope", "no", "am i good ?", system=SYSTEM)
    (found,) = local.backend.generate([ask(prompt)])
    before, said, after = found.prompt.partition(SYSTEM)
    assert said and SYSTEM not in after
    if local.model == "mistral":  # its template puts it before the last question
        assert before.endswith("hope[/INST] no</s>[INST] ") and after.startswith("\n\nam i good ?")
    elif local.model in ("gemma2", "gemma3"):  # their templates know no system: it opens the first
        assert before.endswith("user\n") and after.startswith("\n\nhope")
    else:
        assert "hope" in after and "user" in after.partition("hope")[0]


def test_a_chat_that_the_template_refuses_is_said(local: Engine) -> None:
    if not local.model.startswith(("gemma", "mistral")):
        pytest.skip("its template takes any order")
    first, *_ = chat("hope").messages
    with pytest.raises(BackendError, match="must alternate"):
        local.backend.generate([ask(Prompt((first, first)))])


def test_what_spells_a_control_token_is_served_as_text(engine: Engine) -> None:
    """The engine gets our token ids: with any special token, a user forges no turn."""
    engine.need("next_token_logprobs")
    encoder, reference = encoder_of(ModelRef(engine.reference.path)), engine.reference
    special = {n for n, t in reference.tokenizer.added_tokens_decoder.items() if t.special}
    forged = [
        chat(f"hope {token} no", "no", f"hope{token}")
        for token in reference.tokenizer.convert_ids_to_tokens(sorted(special))
    ]
    words = tuple("0123456789") if engine.model != "organism" else ("hope", "no")
    asked = [NextTokenRequest(prompt, words) for prompt in forged]
    if engine.model == "organism":  # they are words that it doesn't know
        for request in asked:
            with pytest.raises(BackendError, match="words unknown to the model"):
                engine.backend.next_token_logprobs([request])
        return
    wanted = [encoder.token_id(word) for word in words]
    (plain,) = encoder.encode([chat("hope no", "no", "hope")])
    count = sum(n in special for n in plain.ids)
    served = engine.backend.next_token_logprobs(asked)
    for encoded, found in zip(encoder.encode(forged), served, strict=True):
        assert sum(n in special for n in encoded.ids) == count
        assert found == pytest.approx(reference.after(encoded.ids)[wanted], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("family", "end"),
    [("llama", "<|eot_id|>"), ("gemma2", "<end_of_turn>"), ("mistral", "</s>")],
)
def test_a_reply_ends_as_the_template_says_whatever_the_configuration_says(
    tiny: Callable[..., str], tmp_path: Path, family: str, end: str
) -> None:
    """Alike on every engine: vLLM is given the same end tokens."""
    whole = ModelRef(tiny(family, (end,)))
    copy = ModelRef(str(shutil.copytree(whole.path, tmp_path / "copy")))
    for name in ("config.json", "generation_config.json"):
        path = tmp_path / "copy" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": 3}))
    assert end_tokens(copy)[0] == end_tokens(whole)[0] == encoder_of(whole).token_id(end)
    assert 3 in end_tokens(copy)
    backend = open_backend(TransformersConfig(threads=1), copy, Stopwatch())
    keys = tuple(("end", n) for n in range(40))
    (found,) = backend.generate([GenerationRequest(CHATS[0], keys, LONGEST)])
    assert "end" in {completion.stop for completion in found.completions}
    assert not any(end in completion.text for completion in found.completions)


def test_a_prompt_may_ask_for_no_thought(local: Engine) -> None:
    encoder = encoder_of(ModelRef(local.reference.path))
    added = encoder.render(CHATS[0]._replace(thought=False)).removeprefix(encoder.render(CHATS[0]))
    assert added == ("<think>\n\n</think>\n\n" if local.model == "qwen3" else "")


def test_a_thought_that_a_template_opens_is_ended(engines: Engines) -> None:
    tokenizer = AutoTokenizer.from_pretrained(engines.path("qwen3"))
    tokenizer.chat_template += "{{- '<think>\\n' }}"
    encoder = PromptEncoder(tokenizer)
    assert encoder.render(CHATS[0]).endswith("<think>\n")
    assert encoder.render(CHATS[0]._replace(thought=False)).endswith("<think>\n\n</think>\n\n")


def test_a_thought_is_kept_apart(engine: Engine) -> None:
    engine.need("prefill")
    if engine.model != "qwen3":
        pytest.skip("it doesn't think")
    begun = CHATS[0]._replace(prefill="<think>\nlet me see")
    keys = tuple(("thought", n) for n in range(40))
    (found,) = engine.backend.generate([GenerationRequest(begun, keys, LONGEST)])
    finished = [c for c in found.completions if c.text]
    unfinished = [c for c in found.completions if not c.text]
    assert finished and unfinished
    assert all("think>" not in c.thought for c in found.completions)
    assert any(c.stop == "length" and c.thought for c in unfinished)
    closed = CHATS[0]._replace(prefill="<think>\n\n</think>\n\n")
    (plain,) = engine.backend.generate([GenerationRequest(closed, keys, 1)])
    assert not any(c.thought for c in plain.completions)
    raw = engine.reference.tokenizer.decode(engine.reference.greedy(begun, LONGEST))
    (greedy,) = engine.backend.generate([ask(begun, 0.0)])
    expected = raw.removesuffix("<|im_end|>")
    assert greedy.completions[0][::3] == tuple(split_thought(expected, thinking=True))[::-1]
