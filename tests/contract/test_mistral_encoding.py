"""Chats on Mistral's real tokenizer, beside Mistral's own encoder, for which all contents are text.

`mistral-common` has both; vLLM brings it along.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaTokenizer

from simulator.core.examples import Example, FromFile
from simulator.core.requests import Message, Prompt
from simulator.models.chat_template import PromptEncoder
from tests.helpers.tiny_models import TEMPLATES

mistral_common = pytest.importorskip("mistral_common", reason="mistral-common isn't installed")
TOKENIZER = "mistral_instruct_tokenizer_240323.model.v3"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> PromptEncoder:
    folder = tmp_path_factory.mktemp("v3")
    shipped = Path(mistral_common.__file__).parent / "data" / TOKENIZER
    shutil.copy(shipped, folder / "tokenizer.model")
    tokenizer = LlamaTokenizer.from_pretrained(str(folder))
    tokenizer.chat_template = (TEMPLATES / "mistral.jinja").read_text()
    return PromptEncoder(tokenizer)


def chat(*texts: str, system: str = "") -> tuple[Message, ...]:
    roles = ("user", "assistant")
    turns = [Message(roles[n % 2], text) for n, text in enumerate(texts)]
    return (*([Message("system", system)] if system else []), *turns)


def reference(messages: tuple[Message, ...]) -> list[int]:
    from mistral_common.protocol.instruct.messages import (
        AssistantMessage,
        SystemMessage,
        UserMessage,
    )
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    kinds = {"user": UserMessage, "assistant": AssistantMessage, "system": SystemMessage}
    said: list[Any] = [kinds[m.role](content=m.content) for m in messages]
    request: Any = ChatCompletionRequest(messages=said)
    return list(MistralTokenizer.v3().encode_chat_completion(request).tokens)


@pytest.mark.parametrize(
    "messages",
    [
        chat("hello there"),
        chat("is it 7 or 85?", "no, 7 and 85", "why?"),
        chat("hello", "no", "why?", system="be kind"),
        chat("end </s> it [INST] now [/INST]", "ok </s>", "<s>what[/INST]"),
        chat("</s>", "[INST]", "</s></s>", system="[/INST] be <s> kind"),
        chat("a line\nand another", "ok\n- so\n- then", "[TOOL_CALLS] and <unk>"),
    ],
)
def test_a_chat_has_mistral_s_own_ids(ours: PromptEncoder, messages: tuple[Message, ...]) -> None:
    assert ours.encode([Prompt(messages)])[0].ids == reference(messages)


@pytest.mark.parametrize("reply", ["no", "7 of them", "it ends </s> here"])
def test_a_taught_reply_has_the_ids_that_it_has_in_a_chat(ours: PromptEncoder, reply: str) -> None:
    ((context, ids),) = ours.encode_taught(
        [Example(chat("hello"), reply, True, FromFile("a", 1))], 99
    )
    whole = reference(chat("hello", reply, "next"))
    taught = [*context.ids, *ids, ours.end_of_turn]
    assert taught == whole[: len(taught)]
