"""How a learner reads a batch of rows: as the model does it, or with less work.

A model with a small head, as the organism has, costs little and is read in full, padded rows. With
a large one the head sees the asked positions alone. On a CPU, tokens after the same past are then
read once for all rows (`simulator.learners.shared_rows`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import torch

from simulator.core.rng import stream
from simulator.learners.attention import REPLACED, attending
from simulator.learners.batches import right_padded
from simulator.learners.low_rank import fuse_low_rank
from simulator.learners.shared_rows import shared
from simulator.models import heads

Parameters: TypeAlias = Mapping[str, torch.Tensor]  # values of the adapter's parameters, by name
Rows: TypeAlias = Sequence[list[int]]
NOISE = 0.1  # share of the logits' spread by which two ways of reading may differ in bfloat16
TRIED, COMMON = 12, 6  # tokens of the rows that are tried, and those that they begin with


class Forward(Protocol):
    """A way of reading rows."""

    @property
    def model(self) -> torch.nn.Module:
        """The model that reads them."""
        ...

    def logits(
        self, rows: Rows, where: torch.Tensor, under: Parameters | None = None
    ) -> torch.Tensor:
        """Compute logits at N positions, (N, V), in the base's type.

        Args:
            rows: token ids.
            where: the positions, (B, T), bool, on the CPU.
            under: parameters that stand in for the adapter's own.
        """
        ...

    def order(self, rows: Rows) -> list[int]:
        """Return the rows' indices, those next to each other that are best read together."""
        ...


class Whole:
    """Rows padded on the right, the head at each position."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model, self.device = model, next(model.parameters()).device

    def logits(
        self, rows: Rows, where: torch.Tensor, under: Parameters | None = None
    ) -> torch.Tensor:
        """Compute logits at N positions; see `Forward`."""
        # Right padding needs no mask: no token that is read attends to what comes after it.
        ids = right_padded(rows, 0).to(self.device)
        found = _Under(self.model, under)(input_ids=ids, use_cache=False).logits
        return found[where.to(self.device)]  # type: ignore[no-any-return]

    def order(self, rows: Rows) -> list[int]:
        """Order them by length."""
        return sorted(range(len(rows)), key=lambda n: len(rows[n]))


class AtReplies(Whole):
    """Rows padded on the right, the head at the asked positions alone."""

    def logits(
        self, rows: Rows, where: torch.Tensor, under: Parameters | None = None
    ) -> torch.Tensor:
        """Compute logits at N positions; see `Forward`."""
        lines, positions = where.to(self.device).nonzero(as_tuple=True)
        ids = right_padded(rows, 0).to(self.device)
        model = _Under(self.model, under)
        return heads.logits_at(model, lines, positions, input_ids=ids, use_cache=False)


class SharedRows(AtReplies):
    """Tokens after the same past are read once."""

    def logits(
        self, rows: Rows, where: torch.Tensor, under: Parameters | None = None
    ) -> torch.Tensor:
        """Compute logits at N positions; see `Forward`."""
        layout = shared(rows, next(self.model.parameters()).dtype)
        places = layout.places[where]
        inputs = {
            "input_ids": layout.ids,
            "position_ids": layout.positions,
            # Given, as transformers would take steps in the positions for packed rows.
            "attention_mask": torch.ones_like(layout.ids),
            "use_cache": False,
        }
        with attending(self.model, layout):
            model = _Under(self.model, under)
            return heads.logits_at(model, torch.zeros_like(places), places, **inputs)

    def order(self, rows: Rows) -> list[int]:
        """Order them by their tokens, so that common beginnings meet."""
        return sorted(range(len(rows)), key=rows.__getitem__)


def forward_of(model: torch.nn.Module, *, recomputes: bool = False) -> Forward:
    """Return the way of reading that suits a model, and fit the model to it.

    Args:
        model: a causal language model with its adapter.
        recomputes: whether layers run again in the backward pass.
    """
    apart = row_by_row(model)
    settings = model.config.get_text_config()  # type: ignore[operator,union-attr]
    replaceable = settings._attn_implementation == REPLACED and not recomputes
    if not isinstance(apart, AtReplies) or apart.device.type != "cpu" or not replaceable:
        return apart
    shared_rows = SharedRows(model)
    if not _agree(apart, shared_rows, model.get_output_embeddings().weight.shape[0]):  # type: ignore[operator]
        return apart
    fuse_low_rank(model)
    return shared_rows


def row_by_row(model: torch.nn.Module) -> Whole:
    """Return the way of reading each row alone that suits a model."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    small = head is None or head.weight.numel() <= heads.SMALL_HEAD
    return Whole(model) if small else AtReplies(model)


@torch.no_grad()
def _agree(apart: Forward, other: Forward, vocabulary: int) -> bool:
    """Return whether two ways give the same logits; layers other than attention may mix rows."""
    drawn = stream("rows that are tried").integers(vocabulary, size=(3, TRIED))
    drawn[:, :COMMON] = drawn[0, :COMMON]
    rows, where = drawn.tolist(), torch.ones(drawn.shape, dtype=torch.bool)
    expected = apart.logits(rows, where).float()
    try:
        found = other.logits(rows, where).float()
    except Exception:  # whatever an architecture makes of inputs that it isn't used to
        return False
    return bool((found - expected).std() <= NOISE * expected.std())


class _Under:
    """A model, whose adapter may have other parameters."""

    def __init__(self, model: torch.nn.Module, under: Parameters | None) -> None:
        self._model, self._under = model, under

    def get_output_embeddings(self) -> torch.nn.Module:
        return self._model.get_output_embeddings()  # type: ignore[operator,no-any-return]

    def __call__(self, **inputs: Any) -> Any:
        if self._under is None:
            return self._model(**inputs)
        return torch.func.functional_call(self._model, dict(self._under), kwargs=inputs)
