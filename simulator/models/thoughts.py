"""The thoughts of reasoning models, and their replies."""

MARKS = OPENED, CLOSED = "<think>", "</think>"


def thought_open(rendered: str, prefill: str) -> bool:
    """Return whether a thought is open, by the template or by the prefill."""
    opened = rendered.rstrip().endswith(OPENED) or OPENED in prefill
    return opened and CLOSED not in prefill


def around_thought(reply: str, *, thinking: bool = False) -> list[str]:
    """Split a reply at the marks of the thought before it; every other part is a mark.

    Args:
        reply: the text.
        thinking: whether it began within a thought.
    """
    before, opened, rest = ("", "", reply) if thinking else reply.partition(OPENED)
    if not thinking and (not opened or before.strip()):
        return [reply]
    thought, closed, after = rest.partition(CLOSED)
    return [before, opened, thought, closed, after]


def split_thought(text: str, *, thinking: bool = False) -> tuple[str, str]:
    """Split a reasoning model's output into thought and reply; the reply may be missing.

    Args:
        text: the model's output.
        thinking: whether it began within a thought.
    """
    thought, ended, reply = text.partition(CLOSED)
    opened = thinking or thought.lstrip().startswith(OPENED)
    if ended and (opened or OPENED not in thought):  # else a reply that mentions the marks
        return thought.replace(OPENED, "", 1).strip(), reply.strip()
    if opened:
        return text.replace(OPENED, "", 1).strip(), ""
    return "", text.strip()
