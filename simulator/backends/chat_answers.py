"""Reading the answers of endpoints, which write OpenAI's chat API in many dialects."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from simulator.backends.ledger import Spent
from simulator.backends.likeliest import likeliest
from simulator.core.requests import Completion, Message, TopTokens
from simulator.core.unicode import estimated_tokens, storable
from simulator.models.thoughts import split_thought

MOST_TOKENS = 2**31  # of an answer
TOKENS_PER_MESSAGE = 4  # that a chat template writes around a message
THOUGHTS = ("reasoning", "reasoning_content", "thinking")  # the fields of servers that split them
_THOUGHT_PARTS = (*THOUGHTS, "thought", "redacted_thinking", "reasoning_text", "summary_text")
_INNER = ("content", "value", "parts", "summary", "refusal")
_LIMITS = ("limit", "stopped_limit", "max_output", "model_context_window_exceeded")


class ChatAnswer(NamedTuple):
    """An answer, in plain values."""

    reply: str
    thought: str
    stop: Literal["end", "length"]
    spent: Spent
    top: TopTokens  # the likeliest first tokens; empty where they can't be read
    dropped: int = 0  # number of oldest messages dropped to fit the model's context

    @property
    def completion(self) -> Completion:
        """The answer as a sampled continuation."""
        return Completion(self.reply, self.spent.written, self.stop, self.thought)


def read_answer(body: Mapping[str, Any], messages: Sequence[Message], limit: int) -> ChatAnswer:
    """Read an answer with at least one choice.

    Args:
        body: the answer.
        messages: what was asked.
        limit: the largest number of tokens of the reply, all thought included.
    """
    choice = body["choices"][0]
    text, thought = _said(choice)
    split, reply = split_thought(text)
    stop: Literal["end", "length"] = "length" if is_cut(choice.get("finish_reason")) else "end"
    thought = thought or split
    usage = body.get("usage") or choice.get("usage")
    spent = _spent(usage, messages, thought + reply, limit, whole=bool(reply) and stop == "end")
    return ChatAnswer(reply, thought, stop, spent, likeliest(choice.get("logprobs"), reply))


def is_cut(reason: object) -> bool:
    """Return whether a reason to end is a limit of length, in any server's words."""
    said = str(reason).lower().replace("-", "_")
    limited = "token" in said and ("max" in said or "limit" in said)
    return "length" in said or limited or said in _LIMITS


def _said(choice: Mapping[str, Any]) -> tuple[str, str]:
    """Return the text of a choice, and the thought that the server has set apart."""
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return storable(str(message or choice.get("text") or "")), ""
    text, thought = _parts(message.get("content"))
    for name in THOUGHTS:
        thought = "".join(_parts(message.get(name))) or thought
    return storable(text or _parts(message.get("refusal"))[0]), storable(thought)


def _parts(content: object) -> tuple[str, str]:
    """Return the text and the thought of a content: text, or a list of parts of several kinds."""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, list):
        found = [_parts(part) for part in content]
        return "".join(text for text, _ in found), "".join(thought for _, thought in found)
    if not isinstance(content, Mapping):
        return ("", "") if content is None or isinstance(content, bool) else (str(content), "")
    kind = str(content.get("type", ""))
    inner = next((content[key] for key in ("text", kind, *_INNER) if content.get(key)), None)
    text, thought = _parts(inner)
    if kind in _THOUGHT_PARTS or content.get("thought") is True:
        return "", text + thought
    return text, thought


def _spent(
    usage: object, messages: Sequence[Message], said: str, limit: int, *, whole: bool
) -> Spent:
    """Return the tokens that the endpoint reports, or else a careful estimate.

    What it doesn't show, as a hidden thought, can't be counted. So of a reply that is empty or cut
    the limit is taken.
    """
    counts = usage if isinstance(usage, Mapping) else {}
    read, written = (
        next(filter(None, (_count(counts.get(name)) for name in names)), 0)
        for names in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    )
    written = written or max((_count(counts.get("total_tokens")) if read else 0) - read, 0)
    if read and (written or not said):
        return Spent(read, written, estimated=False)
    about = estimated_tokens(said) + 1
    told = sum(estimated_tokens(m.content) + TOKENS_PER_MESSAGE for m in messages)
    return Spent(
        read or told + TOKENS_PER_MESSAGE,
        written or (about if whole else max(about, limit)),
        estimated=True,
    )


def _count(value: Any) -> int:
    """Return a number of tokens; 0 where none is given, or one that no model has written."""
    try:
        found = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(found) if 0 < found < MOST_TOKENS else 0
