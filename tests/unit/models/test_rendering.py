"""Chat templates of all kinds: parts, dates, openings, none at all."""

from datetime import date

import pytest
from transformers import PreTrainedTokenizerFast

from simulator.core.errors import BackendError
from simulator.core.requests import Message, Prompt
from simulator.models.chat_template import PromptEncoder
from simulator.models.pretrained import load_tokenizer
from simulator.models.reference import TEMPLATE_DATE
from simulator.models.resolve import resolve
from tests.helpers.tiny_models import FAMILIES, TEMPLATES

CHAT = (Message("user", "hope"), Message("assistant", "no"), Message("user", "so what"))
SYSTEM = Message("system", "be kind")
TURN = "{{ '<|im_start|>' + m['role'] + '\\n' }}"
END = "{{ '<|im_end|>\\n' }}"
OPENING = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"


def qwen(template: str | None = None) -> PreTrainedTokenizerFast:
    tokenizer = FAMILIES["qwen2"].tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def loop(body: str) -> str:
    return "{% for m in messages %}" + body + "{% endfor %}"


PLAIN = loop(TURN + "{{ m['content'] }}" + END)
PARTS = loop(
    TURN
    + "{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}{% endif %}"
    + "{% endfor %}"
    + END
)


@pytest.mark.parametrize("messages", [CHAT, (SYSTEM, *CHAT)])
def test_a_template_for_parts_is_given_parts(messages: tuple[Message, ...]) -> None:
    by_parts = PromptEncoder(qwen(PARTS + OPENING)).encode([Prompt(messages)])
    assert by_parts == PromptEncoder(qwen(PLAIN + OPENING)).encode([Prompt(messages)])


@pytest.mark.parametrize(
    "template",
    [
        loop(TURN + END),  # nothing is kept
        loop(TURN + "{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}" + END),
        loop(TURN + "{% if loop.last %}{{ m['content'] }}{% endif %}" + END),
        loop(TURN + "{% if m['role'] != 'user' %}{{ m['content'] }}{% endif %}" + END),
        loop("{{ m['content']['text'] }}"),
        "{{ raise_exception('no chats') }}",
    ],
)
def test_a_template_that_drops_what_is_said_is_refused(template: str) -> None:
    with pytest.raises(BackendError, match="its chat template leaves out what users"):
        PromptEncoder(qwen(template + OPENING))


def test_a_template_writes_the_date_that_the_run_fixes() -> None:
    dated = "{{ 'Today: ' + strftime_now('%d %b %Y') + '\\n' }}" + PLAIN + OPENING
    (found,) = PromptEncoder(qwen(dated), "2024-07-26").encode([Prompt(CHAT)])
    assert found.text.startswith("Today: 26 Jul 2024\n")
    (found,) = PromptEncoder(qwen(dated)).encode([Prompt(CHAT)])
    assert found.text.startswith(f"Today: {date.fromisoformat(TEMPLATE_DATE):%d %b %Y}\n")


def test_of_several_templates_the_default_is_used() -> None:
    tokenizer = qwen(PLAIN + OPENING)
    expected = PromptEncoder(tokenizer).encode([Prompt(CHAT)])
    tokenizer.chat_template = {"default": PLAIN + OPENING, "tool_use": "TOOLS"}
    assert PromptEncoder(tokenizer).encode([Prompt(CHAT)]) == expected
    tokenizer.chat_template = {"tool_use": "TOOLS", "rag": "DOCUMENTS"}
    with pytest.raises(BackendError, match="multiple chat templates with no default"):
        PromptEncoder(tokenizer)


def test_a_template_that_opens_no_reply_gets_what_it_writes_before_one() -> None:
    """Early templates don't know `add_generation_prompt`."""
    expected = PromptEncoder(qwen(PLAIN + OPENING))
    found = PromptEncoder(qwen(PLAIN))
    assert found.encode([Prompt(CHAT)]) == expected.encode([Prompt(CHAT)])
    assert found.render(Prompt(CHAT, thought=False)) == expected.render(Prompt(CHAT))
    mistral = PromptEncoder(family("mistral"))
    assert mistral.render(Prompt(CHAT)).endswith("[INST] so what[/INST]")  # its opening is a blank


def family(name: str) -> PreTrainedTokenizerFast:
    tokenizer = FAMILIES[name].tokenizer()
    tokenizer.chat_template = (TEMPLATES / f"{FAMILIES[name].template}.jinja").read_text()
    return tokenizer


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("llama", "<|eot_id|>"),
        ("qwen2", "<|im_end|>"),
        ("qwen3", "<|im_end|>"),
        ("gemma2", "<end_of_turn>"),
        ("gemma3", "<end_of_turn>"),
        ("mistral", "</s>"),
    ],
)
def test_a_turn_ends_as_the_template_says(name: str, end: str) -> None:
    """Not as the tokenizer: Gemma's ends documents."""
    tokenizer = family(name)
    tokenizer.eos_token = tokenizer.pad_token
    if name == "mistral":  # its template writes the tokenizer's
        tokenizer.eos_token = end
    assert PromptEncoder(tokenizer).end_of_turn == tokenizer.convert_tokens_to_ids(end)


def test_a_template_may_write_no_end() -> None:
    for after in ("", "\\n", "\\n\\nUser: <|im_end|>"):
        known = PromptEncoder(qwen(loop("{{ m['content'] + '" + after + "' }}")))
        assert known.end_of_turn is None


def test_an_end_that_is_no_special_token_counts() -> None:
    tokenizer = qwen(PLAIN.replace("<|im_end|>", "<|stop|>"))
    tokenizer.add_tokens(["<|stop|>"], special_tokens=False)
    known = PromptEncoder(tokenizer)
    assert known.end_of_turn == known.token_id("<|stop|>")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_base_without_a_template_gets_a_plain_one(name: str) -> None:
    tokenizer = FAMILIES[name].tokenizer()
    known = PromptEncoder(tokenizer)
    assert known.renderer.name == "plain"
    (found,) = known.encode([Prompt((SYSTEM, *CHAT))])
    bos = tokenizer.bos_token if name.startswith("gemma") else ""
    assert found.text == (
        f"{bos}System:\nbe kind\n\nUser:\nhope\n\nAssistant:\nno{tokenizer.eos_token}\n\n"
        "User:\nso what\n\nAssistant:\n"
    )
    assert known.end_of_turn == tokenizer.eos_token_id
    opened = tokenizer("so")["input_ids"][:1] == [tokenizer.bos_token_id]
    assert opened == bool(bos) == (found.ids[0] == tokenizer.bos_token_id)


def test_the_model_s_own_template_is_named() -> None:
    assert PromptEncoder(load_tokenizer(resolve("organism:0"))).renderer.name == "model"
