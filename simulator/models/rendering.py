"""Chats as text, by a model's chat template, whatever kind of template it is."""

import contextlib
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

import jinja2
from transformers import PreTrainedTokenizerBase

from simulator.core.errors import BackendError
from simulator.core.requests import Message
from simulator.models.thoughts import CLOSED, OPENED

EMPTY_THOUGHT = f"\n{CLOSED}\n\n"  # closes the thought that a template opened
PLAIN = "plain"  # the name of our template
# For base models, which have none: a transcript, in which the end token follows every reply.
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'].capitalize() + ':\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:\n' }}{% endif %}"
)
ASKED, REPLIED, ASKED_AGAIN = "first asked", "then replied", "asked again"  # to probe templates


class ChatRenderer:
    """Renders chats by a tokenizer's chat template, or by a plain one where it has none."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, today: str) -> None:
        """Take a tokenizer.

        Args:
            tokenizer: the model's.
            today: the date that the template writes for today's, ISO 8601.

        Raises:
            BackendError: the template leaves out what users say.
        """
        self._tokenizer, self._today = tokenizer, date.fromisoformat(today)
        self.template = _template_of(tokenizer)
        self._parts = False
        if not self._keeps_chats():
            self._parts = True
            if not self._keeps_chats():
                raise BackendError(
                    "its chat template leaves out what users or the assistant say; "
                    "give the model another chat template"
                )

    @property
    def name(self) -> str:
        """Where the template is from: the model, or `plain` for ours."""
        return "model" if self._tokenizer.chat_template else PLAIN

    def render(self, messages: Sequence[Message], *, thought: bool = True) -> str:
        """Return a chat as the model reads it, up to the beginning of the assistant's reply.

        Args:
            messages: the chat.
            thought: whether a reasoning model may think before it replies.

        Raises:
            BackendError: the template can't render such a chat.
        """
        if not self._takes_system:
            messages = _without_system(messages)
        return self._rendered(messages) + self._opening + ("" if thought else self._no_thought)

    def _rendered(
        self, messages: Sequence[Message], *, reply_follows: bool = True, **switches: bool
    ) -> str:
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    [self._as_given(message) for message in messages],
                    chat_template=self.template,
                    tokenize=False,
                    add_generation_prompt=reply_follows,
                    strftime_now=self._today.strftime,
                    **switches,
                )
            )
        except (jinja2.TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
            raise BackendError(f"the model's chat template can't render a chat: {error}") from None

    def _as_given(self, message: Message) -> dict[str, Any]:
        content = [{"type": "text", "text": message.content}] if self._parts else message.content
        return {"role": message.role, "content": content}

    def _keeps_chats(self) -> bool:
        """Return whether all that users and assistant say is in the rendered chat, in order."""
        said = (ASKED, REPLIED, ASKED_AGAIN)
        roles = ("user", "assistant", "user")
        try:
            found = self._rendered([Message(*pair) for pair in zip(roles, said, strict=True)])
        except BackendError:
            return False
        places = [found.find(text) for text in said]
        return -1 not in places and places == sorted(places)

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the template supports system messages: some refuse or drop them."""
        try:
            said = self._rendered([Message("system", "known"), Message("user", "asked")])
        except BackendError:
            return False
        return "known" in said

    @cached_property
    def _replied(self) -> tuple[str, ...]:
        """Chats with a reply, at the end and amid them, as far as the template renders them.

        Some refuse chats without a next question, others end a reply only if one follows.
        """
        chat = [Message("user", ASKED), Message("assistant", REPLIED), Message("user", ASKED_AGAIN)]
        found = []
        for messages in (chat[:2], chat):
            with contextlib.suppress(BackendError):
                found.append(self._rendered(messages, reply_follows=False))
        return tuple(found)

    @cached_property
    def written(self) -> str:
        """The template and what it writes, to look for its control tokens in.

        Some put them together, as `'<|' + message['role'] + '|>'`.
        """
        asked = self.render([Message("system", "known"), Message("user", ASKED)])
        return "\n".join([self.template, asked, *self._replied])

    @cached_property
    def _lead(self) -> str:
        """What the template writes before a reply, but not yet where one is to follow.

        Early templates never open a reply; gpt-oss's name its channel, others write a blank.
        """
        before = self._rendered([Message("user", ASKED)])
        leads = (chat[len(before) :] for chat in self._replied if chat.startswith(before))
        return next(leads, "").partition(REPLIED)[0]

    @property
    def _closes_thought(self) -> bool:
        return CLOSED in self._lead

    @property
    def _opening(self) -> str:
        """What a chat lacks until a reply can follow."""
        return "" if self._closes_thought or not self._lead.strip() else self._lead.rstrip(" ")

    @property
    def blank(self) -> str:
        """The blanks with which a reply begins: Mistral's templates write them before it."""
        return "" if self._closes_thought else self._lead[len(self._opening) :]

    @cached_property
    def before_reply(self) -> str:
        """What stands between a question and a reply without a thought."""
        return self.render([Message("user", ASKED)], thought=False).rpartition(ASKED)[2]

    @cached_property
    def opens_thought(self) -> bool:
        """Whether every reply begins with a thought that the template opens."""
        return self._rendered([Message("user", ASKED)]).rstrip().endswith(OPENED)

    @cached_property
    def _no_thought(self) -> str:
        """The beginning of a reasoning model's reply without a thought; empty for other models."""
        if self.opens_thought:
            return EMPTY_THOUGHT
        asked = [Message("user", "asked")]
        rendered = self._rendered(asked)
        switched_off = self._rendered(asked, enable_thinking=False)
        if switched_off != rendered and switched_off.startswith(rendered):
            return switched_off[len(rendered) :]
        return self._lead if self._closes_thought else ""

    @property
    def after_reply(self) -> tuple[str, ...]:
        """What the template writes after a last reply, and after one before another question."""
        return tuple(
            chat.rpartition(REPLIED)[2].partition(ASKED_AGAIN)[0] for chat in self._replied
        )


def _template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the model's template, or ours, with the token that opens this model's texts."""
    if tokenizer.chat_template:
        try:
            return str(tokenizer.get_chat_template())
        except ValueError as error:  # several, none of them the default
            raise BackendError(f"its chat template can't be used: {error}") from None
    opens = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    return f"{'{{ bos_token }}' if opens else ''}{PLAIN_TEMPLATE}"


def _without_system(messages: Sequence[Message]) -> Sequence[Message]:
    """Put the system message before the first user message, for templates without roles for it."""
    if len(messages) < 2 or messages[0].role != "system":
        return messages
    system, first, *rest = messages
    return [Message(first.role, f"{system.content}\n\n{first.content}"), *rest]
