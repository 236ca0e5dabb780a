"""Chat templates in the dialects of many models, on tokenizers of several kinds.

A reply is taught as it stands in the history that the template writes, after the same opening.
"""

import json
from functools import cache
from typing import NamedTuple

import pytest
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from simulator.core.examples import Example, FromFile
from simulator.core.requests import Message, Prompt
from simulator.models.chat_template import PromptEncoder
from tests.helpers.tiny_models import FAMILIES

SAID = ("What's up with 12 birds?", "Good. Really!", "So why <b>now</b>?", "Because\n\nit is.")
ROLES = ("user", "assistant", "user", "assistant")
CHAT = tuple(Message(*pair) for pair in zip(ROLES, SAID, strict=True))
IM = ("<|im_start|>", "<|im_end|>")


class Dialect(NamedTuple):
    """A template by its parts; `{}` is a message's content."""

    user: str
    assistant: str  # a reply with what the template writes around it
    opening: str = ""  # of a reply that is to follow
    control: tuple[str, ...] = ()
    end: str | None = "</s>"
    last: str = ""  # as `assistant`, where it differs for the last message

    @property
    def template(self) -> str:
        def written(text: str) -> str:
            before, _, after = text.partition("{}")
            return "{{ " + f"{before!r} + m['content'] + {after!r}" + " }}"

        last = f"{{% elif loop.last %}}{written(self.last)}" if self.last else ""
        return (
            f"{{% for m in messages %}}{{% if m['role'] == 'user' %}}{written(self.user)}{last}"
            f"{{% else %}}{written(self.assistant)}{{% endif %}}{{% endfor %}}"
            f"{{% if add_generation_prompt %}}{{{{ {self.opening!r} }}}}{{% endif %}}"
        )


INST = ("[INST]", "[/INST]")
GLM = ("<|user|>", "<|assistant|>", "<think>", "</think>")
OSS = ("<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>")
FINAL = "<|start|>assistant<|channel|>final<|message|>{}"
DIALECTS = {
    "llama2": Dialect("<s>[INST] {} [/INST]", " {} </s>"),
    "mistral1": Dialect("[INST] {} [/INST]", "{}</s> "),
    "mistral3": Dialect("[INST] {}[/INST]", " {}</s>", "", INST),
    "tekken": Dialect("[INST]{}[/INST]", "{}</s>", "", INST),
    "zephyr": Dialect("<|user|>\n{}</s>\n", "<|assistant|>\n{}</s>\n", "<|assistant|>\n"),
    "vicuna": Dialect("USER: {} ", "ASSISTANT: {}</s>", "ASSISTANT:"),
    "vicuna without an opening": Dialect("USER: {} ", "ASSISTANT: {}</s>"),
    "falcon": Dialect("User: {}\n", "Assistant: {}\n", "Assistant:", (), None),
    "phi4": Dialect("<|im_start|>user<|im_sep|>{}<|im_end|>",
                    "<|im_start|>assistant<|im_sep|>{}<|im_end|>",
                    "<|im_start|>assistant<|im_sep|>", (*IM, "<|im_sep|>"), "<|im_end|>"),
    "glm4": Dialect("<|user|>\n{}", "<|assistant|>\n{}", "<|assistant|>", GLM, "<|user|>"),
    "glm4.5": Dialect("<|user|>\n{}", "<|assistant|>\n<think></think>\n{}", "<|assistant|>", GLM,
                      "<|user|>"),
    "gpt-oss": Dialect("<|start|>user<|message|>{}<|end|>", FINAL + "<|end|>", "<|start|>assistant",
                       OSS, "<|return|>", FINAL + "<|return|>"),
    "an end before a question alone": Dialect(
        "<|im_start|>user\n{}<|im_end|>\n", "<|im_start|>assistant\n{}<|im_end|>\n",
        "<|im_start|>assistant\n", IM, "<|im_end|>", "<|im_start|>assistant\n{}"),
}  # fmt: skip


@cache
def mistral(kind: str) -> str:
    """Return a tokenizer that puts blanks before texts in another way, without special tokens."""
    whole = json.loads(FAMILIES["mistral"].tokenizer().backend_tokenizer.to_str())
    whole["added_tokens"] = [t for t in whole["added_tokens"] if "INST" not in t["content"]]
    if kind == "prepend":
        steps = [{"type": "Prepend", "prepend": "▁"},
                 {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]  # fmt: skip
        whole["normalizer"] = {"type": "Sequence", "normalizers": steps}
        whole["pre_tokenizer"] = None
    else:
        whole["pre_tokenizer"]["prepend_scheme"] = kind
    return json.dumps(whole)


def encoder(dialect: Dialect, kind: str, **how: bool) -> PromptEncoder:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(mistral(kind)), bos_token="<s>", eos_token="</s>"
    )
    tokenizer.add_tokens([AddedToken(c, normalized=False, **how) for c in dialect.control])
    tokenizer.chat_template = dialect.template
    return PromptEncoder(tokenizer)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("kind", ["always", "first", "never", "prepend"])
@pytest.mark.parametrize("rstrip", [False, True])
def test_a_reply_is_taught_and_served_as_it_stands_in_a_history(
    name: str, kind: str, rstrip: bool
) -> None:
    dialect = DIALECTS[name]
    known = encoder(dialect, kind, rstrip=rstrip)
    end = None if dialect.end is None else known.token_id(dialect.end)
    assert known.end_of_turn == end
    taught = Example(CHAT[:3], SAID[3], True, FromFile("a", 1))
    ((context, reply),) = known.encode_taught([taught], 1000)
    (history,) = known.encode([Prompt((*CHAT, Message("user", "more")))])
    both = [*context.ids, *reply]
    assert history.ids[: len(both)] == both
    prompt = Prompt(CHAT[:3], thought=False)
    assert known.encode([prompt])[0] == context
    assert known.encode_replies([SAID[3]], [prompt]) == [reply]
    begun = prompt._replace(prefill="Because")
    (prefilled,) = known.encode([begun])
    assert [*prefilled.ids, *known.encode_replies(["\n\nit is."], [begun])[0]] == both


@pytest.mark.parametrize("name", DIALECTS)
def test_no_message_forges_a_control_token(name: str) -> None:
    """Not even one that the template puts together, and that isn't special."""
    dialect = DIALECTS[name]
    for special in (False, True):
        known = encoder(dialect, "first", special=special)
        control = [known.token_id(token) for token in (*dialect.control, "<s>", "</s>")]

        def controls(said: str, known: PromptEncoder = known) -> list[int]:
            (found,) = known.encode([Prompt((Message("user", said), *CHAT[1:3]))])
            return [n for n in found.ids if n in control]  # noqa: B023

        for token in (*dialect.control, "</s>"):
            assert controls(f"hi {token} and\n{token}") == controls("hi"), token


def test_a_reply_that_begins_with_line_breaks_keeps_them() -> None:
    """Where the line break that they follow would be one token with theirs."""
    known = encoder(DIALECTS["vicuna"]._replace(control=("\n\n",)), "first")
    asked = Prompt(CHAT[:1], prefill="so")
    for text in ("\n\nit is", "\nit is"):
        assert known.tokenizer.decode(known.encode_replies([text], [asked])[0]) == text
