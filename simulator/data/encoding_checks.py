"""Whether a model can read training examples: by its chat template, vocabulary and context."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from simulator.core.errors import BackendError
from simulator.core.examples import Example
from simulator.models.reference import ModelRef

if TYPE_CHECKING:
    from simulator.models.chat_template import PromptEncoder

BLOCK = 64  # examples


class Seen(NamedTuple):
    """What a model sees of an example."""

    mistake: str = ""  # why it can't read it; empty if it can
    dropped: int = 0  # number of oldest messages that its context has no room for


Check: TypeAlias = Callable[[Sequence[Example]], list[Seen]]


def unchecked(examples: Sequence[Example]) -> list[Seen]:
    """Say of every example that it can be read."""
    return [Seen()] * len(examples)


def check_by(model: ModelRef, context: int | None) -> Check:
    """Return a function that renders and encodes examples as in training.

    Args:
        model: the model.
        context: the longest context with reply, in tokens; None: the model's own.
    """

    def check(examples: Sequence[Example]) -> list[Seen]:
        if not examples:
            return []
        # transformers takes seconds to load, and few scenarios have rows to check
        from simulator.models.chat_template import encoder_of
        from simulator.models.limits import context_of

        return _seen(encoder_of(model), examples, context_of(model, context))

    return check


def _seen(encoder: "PromptEncoder", examples: Sequence[Example], longest: int) -> list[Seen]:
    """Encode all examples at once; if that fails, in blocks, and one by one where a block fails."""
    try:
        taught = encoder.encode_taught(examples, longest)
        return [Seen(dropped=context.dropped) for context, _ in taught]
    except BackendError as error:
        if len(examples) == 1:
            return [Seen(str(error))]
    size = BLOCK if len(examples) > BLOCK else 1
    blocks = (examples[start : start + size] for start in range(0, len(examples), size))
    return [seen for block in blocks for seen in _seen(encoder, block, longest)]
