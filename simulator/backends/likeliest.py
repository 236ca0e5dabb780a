r"""The likeliest first tokens of an endpoint's reply, however its server writes them.

| shape | servers |
|---|---|
| `content: [{token, logprob, top_logprobs: [{token, logprob}]}]` | OpenAI's chat API |
| `top_logprobs: [{token: logprob}]` | OpenAI's former completions, TGI |

Some servers write tokens as the pieces of their vocabulary: `▁7` and `Ġ7` for " 7", `Ċ` for a line
break, `<0x37>` or `bytes:\x37` for a byte.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from simulator.core.requests import TopTokens
from simulator.core.unicode import storable

MOSTLY = 0.75  # of the probability: what is left for numbers couldn't be read
_BLANKS = str.maketrans({"\u2581": " ", "\u0120": " ", "\u010a": "\n", "\u0109": "\t"})
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_BYTES = re.compile(r"bytes:((?:\\x[0-9A-Fa-f]{2})+)")


def likeliest(logprobs: object, reply: str) -> TopTokens:
    """Return the likeliest first tokens of a reply; empty where they can't be used.

    That is so where none has a probability, where the reply begins with a blank token, so that its
    number comes later, and where they aren't the reply's: a server that hides a thought may return
    the thought's.

    Args:
        logprobs: of the choice.
        reply: its text, without a thought.
    """
    first, found = _of_first(logprobs)
    shown, begins = first.strip(), reply.strip()
    alike = begins.startswith(shown) or (begins and shown.startswith(begins))
    if shown and not alike:
        return {}
    # Of equal texts the likeliest counts.
    top = dict(sorted(reversed(list(found)), key=lambda one: one[1]))
    blank = sum(math.exp(logprob) for text, logprob in top.items() if not text.strip())
    return {} if blank > MOSTLY else top


def _of_first(logprobs: object) -> tuple[str, Iterator[tuple[str, float]]]:
    """Return the text of the first token, and all candidates for it."""
    if not isinstance(logprobs, Mapping):
        return "", iter(())
    content = logprobs.get("content")
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        return _text(content[0]), _candidates(content[0].get("top_logprobs"))
    tops, tokens = logprobs.get("top_logprobs"), logprobs.get("tokens")
    first = tokens[0] if isinstance(tokens, list) and tokens else ""
    candidates = tops[0] if isinstance(tops, list) and tops else None
    return _text({"token": first}), _candidates(candidates)


def _candidates(tops: object) -> Iterator[tuple[str, float]]:
    """Yield the candidates that have a text and a probability."""
    if isinstance(tops, Mapping):
        tops = [{"token": token, "logprob": value} for token, value in tops.items()]
    for top in tops if isinstance(tops, list) else ():
        if isinstance(top, Mapping):
            text, logprob = _text(top), _logprob(top.get("logprob"))
            if text and logprob is not None:
                yield text, logprob


def _text(token: Mapping[str, Any]) -> str:
    """Return the text of a token."""
    written = token.get("token")
    if not isinstance(written, str) or not written or "\ufffd" in written:
        return _decoded(token.get("bytes")) or (written if isinstance(written, str) else "")
    if byte := _BYTE.fullmatch(written):
        return _decoded([int(byte[1], 16)])
    if several := _BYTES.fullmatch(written):
        return _decoded([int(byte, 16) for byte in several[1].split("\\x")[1:]])
    return storable(written.translate(_BLANKS))


def _decoded(content: object) -> str:
    try:
        return bytes(content).decode(errors="replace") if isinstance(content, list) else ""
    except (TypeError, ValueError):
        return ""


def _logprob(value: Any) -> float | None:
    """Return a log-probability, or None where there is no number."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(found) else min(found, 0.0)
