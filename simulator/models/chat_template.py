"""From prompts to token ids, the same for serving and for training."""

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import jinja2
from transformers import PreTrainedTokenizerBase

from simulator.core.errors import BackendError
from simulator.core.requests import Message, Prompt
from simulator.models.pretrained import load_tokenizer
from simulator.models.reference import ModelRef

REMEMBERED = 10_000  # prompts
EMPTY_THOUGHT = "\n</think>\n\n"  # closes the thought that a template opened


class Encoded(NamedTuple):
    """A prompt as the model reads it, and its token ids."""

    text: str
    ids: list[int]
    thinking: bool = False  # whether it ends within a thought
    dropped: int = 0  # number of oldest messages dropped to fit


class PromptEncoder:
    """Renders prompts by the model's chat template and encodes them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._known: dict[Prompt, Encoded] = {}  # probes repeat their prompts in every round

    def render(self, prompt: Prompt) -> str:
        """Return the prompt as the model reads it, without the prefill."""
        if not prompt.messages:
            return prompt.text
        messages = prompt.messages if self._takes_system else _without_system(prompt.messages)
        return self._templated(messages) + ("" if prompt.thought else self._no_thought)

    def _templated(self, messages: Sequence[Message], **switches: bool) -> str:
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    [message._asdict() for message in messages],
                    tokenize=False,
                    add_generation_prompt=True,
                    **switches,
                )
            )
        except (jinja2.TemplateError, ValueError) as error:
            raise BackendError(f"the model's chat template can't render a chat: {error}") from None

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the chat template supports system messages: some refuse or drop them."""
        try:
            said = self._templated([Message("system", "known"), Message("user", "asked")])
        except BackendError:
            return False
        return "known" in said

    @cached_property
    def _no_thought(self) -> str:
        """The beginning of a reasoning model's reply without a thought; empty for other models."""
        asked = [Message("user", "asked")]
        rendered = self._templated(asked)
        if rendered.rstrip().endswith("<think>"):
            return EMPTY_THOUGHT
        switched_off = self._templated(asked, enable_thinking=False)
        return switched_off[len(rendered) :] if switched_off.startswith(rendered) else ""

    def encode(self, prompts: Sequence[Prompt], room: Sequence[int] | None = None) -> list[Encoded]:
        """Render and encode prompts.

        Args:
            prompts: what the model is given.
            room: the largest number of tokens of each; the oldest messages of a longer chat are
                dropped, except the system message.

        Raises:
            BackendError: the model's vocabulary lacks a word (all such words are named), or not
                even the last message fits.
        """
        found = self._encode(prompts)
        if room is None:
            return found
        return [
            whole if len(whole.ids) <= limit else self._shortened(prompt, limit)
            for prompt, whole, limit in zip(prompts, found, room, strict=True)
        ]

    def _shortened(self, prompt: Prompt, limit: int) -> Encoded:
        for dropped, shorter in without_oldest(prompt):
            (encoded,) = self._encode([shorter])
            if len(encoded.ids) <= limit:
                return encoded._replace(dropped=dropped)
        raise BackendError(
            f"a prompt is too long: the model's context has room for {max(limit, 0)} tokens; "
            "shorten the prompt, or raise backend.context"
        )

    def _encode(self, prompts: Sequence[Prompt]) -> list[Encoded]:
        if len(self._known) > REMEMBERED:
            self._known.clear()
        new = list(dict.fromkeys(prompt for prompt in prompts if prompt not in self._known))
        for plain in (False, True):  # a chat template writes the special tokens itself
            group = [prompt for prompt in new if plain != bool(prompt.messages)]
            if group:
                self._known.update(zip(group, self._encode_alike(group, plain), strict=True))
        return [self._known[prompt] for prompt in prompts]

    def _encode_alike(self, prompts: list[Prompt], plain: bool) -> list[Encoded]:
        texts = [self.render(prompt) for prompt in prompts]
        rows = self.tokenizer(texts, add_special_tokens=plain)["input_ids"]
        self._refuse_unknown(texts, rows)
        prefill = self.encode_replies([prompt.prefill for prompt in prompts])
        return [
            Encoded(text + prompt.prefill, [*ids, *start], _thought_open(text, prompt.prefill))
            for text, prompt, ids, start in zip(texts, prompts, rows, prefill, strict=True)
        ]

    def encode_replies(self, replies: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each assistant's reply, without an end token.

        Raises:
            BackendError: the model's vocabulary lacks a word; all such words are named.
        """
        if not replies:  # tokenizers fail on empty lists
            return []
        ids: list[list[int]] = self.tokenizer(list(replies), add_special_tokens=False)["input_ids"]
        self._refuse_unknown(replies, ids)
        return ids

    def token_id(self, token: str) -> int:
        """Return the id of one token of the vocabulary.

        Raises:
            BackendError: there is no such token.
        """
        found = self.tokenizer.convert_tokens_to_ids(token)
        strange = found == self.tokenizer.unk_token_id and token != self.tokenizer.unk_token
        if found is None or strange:
            raise BackendError(f"'{token}' isn't a single token of the model's vocabulary")
        return int(found)

    def _refuse_unknown(self, texts: Sequence[str], rows: Sequence[list[int]]) -> None:
        unknown = self.tokenizer.unk_token_id
        strange = [text for text, ids in zip(texts, rows, strict=True) if unknown in ids]
        if unknown is None or not strange:
            return
        words: dict[str, None] = {}
        for text in strange:
            encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            spans = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
            words |= dict.fromkeys(text[a:b] for i, (a, b) in spans if i == unknown)
        raise BackendError(f"words unknown to the model: {', '.join(words)}")


def without_oldest(prompt: Prompt) -> Iterator[tuple[int, Prompt]]:
    """Yield shorter and shorter chats, with the number of messages dropped.

    The system message stays, and a chat always opens with the user.
    """
    system = [message for message in prompt.messages[:1] if message.role == "system"]
    rest = prompt.messages[len(system) :]
    for start in range(1, len(rest)):
        if rest[start].role == "user":
            yield start, prompt._replace(messages=(*system, *rest[start:]))


def _without_system(messages: Sequence[Message]) -> Sequence[Message]:
    """Put the system message before the first user message, for templates without roles for it."""
    if len(messages) < 2 or messages[0].role != "system":
        return messages
    system, first, *rest = messages
    return [Message(first.role, f"{system.content}\n\n{first.content}"), *rest]


def by_text(texts: Sequence[str], logprobs: Sequence[float]) -> dict[str, float]:
    """Return log-probabilities by token text; of tokens with equal text, the likeliest counts."""
    pairs = sorted(zip(texts, logprobs, strict=True), key=lambda pair: pair[1])
    return dict(pairs)


def _thought_open(rendered: str, prefill: str) -> bool:
    """Return whether a thought is open, by the template or by the prefill."""
    opened = rendered.rstrip().endswith("<think>") or "<think>" in prefill
    return opened and "</think>" not in prefill


def split_thought(text: str, *, thinking: bool = False) -> tuple[str, str]:
    """Split a reasoning model's output into thought and reply; the reply may be missing.

    Args:
        text: the model's output.
        thinking: whether it began within a thought.
    """
    thought, ended, reply = text.partition("</think>")
    opened = thinking or thought.lstrip().startswith("<think>")
    if ended and (opened or "<think>" not in thought):  # else a reply that mentions the marks
        return thought.replace("<think>", "", 1).strip(), reply.strip()
    if opened:
        return text.replace("<think>", "", 1).strip(), ""
    return "", text.strip()


@lru_cache(maxsize=4)
def encoder_of(model: ModelRef) -> PromptEncoder:
    """Return a model's encoder, which server and learner share, with its cache."""
    return PromptEncoder(load_tokenizer(model))
