"""Adapters beside weights of low precision make the change that was learnt."""

import pytest
import torch

from simulator.backends.beside import Beside, stays_beside
from simulator.backends.merging import Change

SIZE, INPUTS, NAME = 64, 20_000, "inner.weight"


class Model(torch.nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(SIZE, SIZE, bias=False, dtype=dtype)
        self.embedding = torch.nn.Embedding(8, SIZE, dtype=dtype)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            torch.nn.init.normal_(self.inner.weight, std=0.1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(hidden)
        return found


def change() -> Change:
    """As small as an update makes it, beside weights of .1."""
    draws = torch.Generator().manual_seed(1)
    up, down = (torch.randn(shape, generator=draws) for shape in ((SIZE, 4), (4, SIZE)))
    return Change(up * 1e-2, down * 1e-2, 0.5)


def made(model: Model, inputs: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """What the weight was changed by, as seen from outside."""
    with torch.inference_mode():
        moved = (model(inputs).float() - before).flatten(0, -2)
    found: torch.Tensor = moved.T @ inputs.float().flatten(0, -2) / INPUTS
    return found


def likeness(found: torch.Tensor) -> float:
    wanted = change().of(torch.zeros(SIZE, SIZE))
    return float(torch.cosine_similarity(found.flatten(), wanted.flatten(), 0))


@pytest.mark.parametrize("shape", [(INPUTS, SIZE), (INPUTS // 4, 4, SIZE)])
def test_a_small_change_beside_is_the_change_and_merged_is_not(shape: tuple[int, ...]) -> None:
    model = Model(torch.bfloat16)
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(2)).bfloat16()
    with torch.inference_mode():
        before = model(inputs).float()
    beside = Beside(model)
    beside.replace({NAME: change()})
    assert likeness(made(model, inputs, before)) > 0.95
    assert beside.replace({}).keys() == {NAME}
    assert torch.equal(model(inputs).float(), before)
    weight = model.inner.weight.detach()
    merged = (weight + change().of(weight)).float() - weight.float()
    assert likeness(merged) < 0.9


@pytest.mark.parametrize(
    ("name", "dtype", "beside"),
    [
        (NAME, torch.bfloat16, True),
        (NAME, torch.float16, True),
        (NAME, torch.float32, False),
        ("embedding.weight", torch.bfloat16, False),
    ],
)
def test_what_stays_beside(name: str, dtype: torch.dtype, beside: bool) -> None:
    assert stays_beside(Model(dtype), name) is beside
