"""Text from outside, made fit for every file that a run writes, and its length in tokens."""

import math

BYTES_PER_TOKEN = 3  # of an unknown tokenizer; English has about four


def storable(text: str) -> str:
    """Return the text with `�` for lone surrogates and NUL, which files and databases refuse.

    Two surrogates that belong together become the character that they stand for.
    """
    if text.isascii() and "\0" not in text:
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\ufffd")


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has, for an unknown tokenizer: rather too many."""
    return math.ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)
