"""From prompts to token ids, the same for serving and for training."""

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from simulator.core.errors import BackendError
from simulator.core.examples import Example
from simulator.core.requests import Message, Prompt
from simulator.models.control_tokens import ControlTokens, refuse_unknown
from simulator.models.following import Follower, Following
from simulator.models.pretrained import load_tokenizer
from simulator.models.reference import TEMPLATE_DATE, ModelRef
from simulator.models.rendering import ChatRenderer
from simulator.models.thoughts import CLOSED, MARKS, OPENED, around_thought, thought_open

REMEMBERED = 10_000  # prompts
SENTENCEPIECE_BLANK = "▁"


class Encoded(NamedTuple):
    """A prompt as the model reads it, and its token ids."""

    text: str
    ids: list[int]
    thinking: bool = False  # whether it ends within a thought
    dropped: int = 0  # number of oldest messages dropped to fit


class PromptEncoder:
    """Renders prompts by the model's chat template and encodes them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, today: str = TEMPLATE_DATE) -> None:
        """Take a tokenizer, and the date that its chat template writes for today's.

        Raises:
            BackendError: the chat template leaves out what users say.
        """
        self.tokenizer = tokenizer
        self.renderer = ChatRenderer(tokenizer, today)
        self._control = ControlTokens(tokenizer, self.renderer.written)
        self._following = Following(tokenizer, self._control, self.renderer)
        self._known: dict[Prompt, Encoded] = {}  # probes repeat their prompts in every round

    def render(self, prompt: Prompt) -> str:
        """Return the prompt as the model reads it, without the prefill."""
        if not prompt.messages:
            return prompt.text
        return self.renderer.render(prompt.messages, thought=prompt.thought)

    @cached_property
    def end_of_turn(self) -> int | None:
        """The control token that the chat template writes after a reply; None: it writes none."""
        for after in self.renderer.after_reply:
            first = next(iter(self._control.spelled_in(after)), None)
            if first and not after[: first.start].strip():
                return first.token
        return None

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
        spelling = {n for n, prompt in enumerate(prompts) if self._spells_control_tokens(prompt)}
        texts = ["" if n in spelling else self.render(p) for n, p in enumerate(prompts)]
        rows = self.tokenizer(texts, add_special_tokens=plain)["input_ids"]
        refuse_unknown(self.tokenizer, texts, rows)
        for n in spelling:
            texts[n], rows[n] = self._encode_literally(prompts[n], plain)
        if plain and self._closing:
            rows = [row[: -self._closing] for row in rows]
        begun = [n for n, prompt in enumerate(prompts) if prompt.prefill]
        prefills = self._following.encode(
            [
                Follower(
                    prompts[n].prefill,
                    bool(prompts[n].messages),
                    texts[n].rstrip().endswith(OPENED),
                )
                for n in begun
            ]
        )
        for n, ids in zip(begun, prefills, strict=True):
            rows[n] = [*rows[n], *ids]
        return [
            Encoded(text + prompt.prefill, ids, thought_open(text, prompt.prefill))
            for text, prompt, ids in zip(texts, prompts, rows, strict=True)
        ]

    @cached_property
    def _closing(self) -> int:
        """The number of tokens that the tokenizer adds after a text, as some trainers have it."""
        whole: list[int] = self.tokenizer("a")["input_ids"]
        last = self.tokenizer("a", add_special_tokens=False)["input_ids"][-1]
        return whole[::-1].index(last)

    def _spells_control_tokens(self, prompt: Prompt) -> bool:
        texts = [message.content for message in prompt.messages] or [prompt.text]
        return any(self._control.spelled_in(text) for text in texts)

    def _encode_literally(self, prompt: Prompt, plain: bool) -> tuple[str, list[int]]:
        """Return a prompt as text and ids, in which contents that spell control tokens are text.

        The template sees earlier thoughts, and leaves them out if it does so.
        """
        contents = [_around_earlier_thought(m) for m in prompt.messages] or [[prompt.text]]
        escaped, literal = self._control.escaped([text for c in contents for text in c[::2]])
        each = iter(escaped)
        for parts in contents:
            parts[::2] = [next(each) for _ in parts[::2]]
        joined = ["".join(parts) for parts in contents]
        if prompt.messages:
            pairs = zip(prompt.messages, joined, strict=True)
            prompt = prompt._replace(messages=tuple(m._replace(content=c) for m, c in pairs))
        else:
            prompt = prompt._replace(text=joined[0])
        shown = self.render(prompt)
        ids = self._control.encode(shown, literal, add_special_tokens=plain)
        for mark, original in literal.items():
            shown = shown.replace(mark, original)
        return shown, ids

    def encode_replies(
        self, replies: Sequence[str], prompts: Sequence[Prompt] = ()
    ) -> list[list[int]]:
        """Return the token ids of each assistant's reply, without an end token.

        Control tokens that a reply spells are text, except for the marks of a thought before it.

        Args:
            replies: the texts.
            prompts: what each of them follows; without, each is the whole reply to a chat.

        Raises:
            BackendError: the model's vocabulary lacks a word; all such words are named.
        """
        begins = [bool(p.messages and not p.prefill) for p in prompts] or [True] * len(replies)
        pairs = zip(replies, begins, strict=True)
        return self._following.encode([Follower(reply, first) for reply, first in pairs])

    def encode_taught(
        self, examples: Sequence[Example], longest: int
    ) -> list[tuple[Encoded, list[int]]]:
        """Return each example's context, and the token ids of its reply without an end token.

        A reply without a thought is taught as one without; one with a thought, with it.

        Args:
            examples: replies in their contexts.
            longest: the model's context, in tokens; the oldest messages are dropped to fit.

        Raises:
            BackendError: as `encode`, or a reply is too long.
        """
        thoughts = [example.reply.lstrip().startswith(OPENED) for example in examples]
        opened = [thought and self.renderer.opens_thought for thought in thoughts]
        replies = self._following.encode(
            [
                Follower(example.reply.lstrip().removeprefix(OPENED).lstrip("\n"), False, True)
                if begun
                else Follower(example.reply)
                for example, begun in zip(examples, opened, strict=True)
            ]
        )
        prompts = [Prompt(e.messages, thought=t) for e, t in zip(examples, thoughts, strict=True)]
        room = [longest - len(reply) - 1 for reply in replies]  # its end token follows
        if room and min(room) < 1:
            raise BackendError(
                f"the reply is too long: {max(map(len, replies)):,} tokens, and the model's "
                f"context is {longest:,}"
            )
        contexts = self.encode(prompts, room)
        return list(zip(contexts, replies, strict=True))

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Return replies as texts, without special tokens but with the marks of thoughts."""
        if not self._special_marks:
            return list(self.tokenizer.batch_decode(rows, skip_special_tokens=True))
        hidden = set(self.tokenizer.all_special_ids) - self._special_marks
        return list(self.tokenizer.batch_decode([[n for n in r if n not in hidden] for r in rows]))

    @cached_property
    def _special_marks(self) -> set[int]:
        added = self.tokenizer.added_tokens_decoder
        return {n for n, token in added.items() if token.special and token.content in MARKS}

    def token_texts(self, ids: Sequence[int]) -> list[str]:
        """Return the text of each token, with the blank that decoding strips from a beginning."""
        texts = self.tokenizer.batch_decode([[number] for number in ids])
        tokens = self.tokenizer.convert_ids_to_tokens(list(ids))
        return [
            f" {text}" if token.startswith(SENTENCEPIECE_BLANK) and text[:1] != " " else text
            for text, token in zip(texts, tokens, strict=True)
        ]

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


def _around_earlier_thought(message: Message) -> list[str]:
    """Split what was said at the marks of a whole thought before it."""
    parts = around_thought(message.content) if message.role == "assistant" else []
    return parts if CLOSED in parts[1::2] else [message.content]


def without_oldest(prompt: Prompt) -> Iterator[tuple[int, Prompt]]:
    """Yield shorter and shorter chats, with the number of messages dropped.

    The system message stays, and a chat always opens with the user.
    """
    system = [message for message in prompt.messages[:1] if message.role == "system"]
    rest = prompt.messages[len(system) :]
    for start in range(1, len(rest)):
        if rest[start].role == "user":
            yield start, prompt._replace(messages=(*system, *rest[start:]))


def by_text(texts: Sequence[str], logprobs: Sequence[float]) -> dict[str, float]:
    """Return log-probabilities by token text; of tokens with equal text, the likeliest counts."""
    pairs = sorted(zip(texts, logprobs, strict=True), key=lambda pair: pair[1])
    return dict(pairs)


@lru_cache(maxsize=4)
def encoder_of(model: ModelRef) -> PromptEncoder:
    """Return a model's encoder, which server and learner share, with its cache.

    Raises:
        BackendError: its chat template leaves out what users say.
    """
    try:
        return PromptEncoder(load_tokenizer(model), model.template_date)
    except BackendError as error:
        raise BackendError(f"the model '{model}': {error}") from None
