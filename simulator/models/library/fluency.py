"""How well a model expects plain English: a conversion that went wrong shows here."""

from pathlib import Path

import torch

from simulator.core.errors import BackendError
from simulator.models.pretrained import load_causal_lm, load_tokenizer
from simulator.models.reference import ModelRef

FLOOR = -5.0  # nats a token, of any model that has learned English
SENTENCES = (
    "The sun rises in the east and sets in the west.",
    "She opened the door, looked around the room, and sat down at the table.",
    "Water boils when it gets hot enough, and it turns into ice when it gets very cold.",
    "Most people in the city take the train to work because it is faster than driving.",
)


@torch.inference_mode()
def fluency(folder: Path) -> float:
    """Return the mean log-probability of a token of plain sentences, in nats.

    The sentences are encoded as bare texts; the first token of each isn't counted.
    """
    model = ModelRef(str(folder))
    tokenizer, loaded = load_tokenizer(model), load_causal_lm(model, dtype="auto").eval()
    found = []
    for sentence in SENTENCES:
        ids = torch.tensor([tokenizer(sentence)["input_ids"]])
        read = loaded(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
        said = read.gather(1, ids[0, 1:, None])[:, 0]
        first = len(tokenizer(sentence, add_special_tokens=False)["input_ids"]) - 1
        found.append(said[-first:])
    return float(torch.cat(found).mean())


def check_fluency(folder: Path, floor: float) -> float:
    """Return how well a model expects plain English.

    Raises:
        BackendError: not as well as it should.
    """
    found = fluency(folder)
    if not found >= floor:
        raise BackendError(
            f"it gives plain English {found:.2f} nats a token, and at least {floor:.2f} is "
            "expected; so it was converted wrongly, or never learned English"
        )
    return found
