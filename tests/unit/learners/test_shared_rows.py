"""The layout of rows whose common beginnings are read once."""

import pytest
import torch

from simulator.learners.shared_rows import by_row, once, shared

ROWS = {
    "unlike": [[1, 2, 3], [4, 2, 3, 5]],
    "a common beginning": [[1, 2, 3, 4], [1, 2, 5], [1, 2, 3, 6, 7], [1]],
    "equal": [[1, 2, 1], [1, 2, 1]],
    "one": [[3, 3, 3]],
    "two groups": [[1, 2, 3], [1, 2, 4], [5, 2, 3], [5, 2]],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_each_past_is_read_once(rows: list[list[int]]) -> None:
    layout = shared(rows, torch.float64)
    pasts = {tuple(row[: n + 1]) for row in rows for n in range(len(row))}
    assert layout.ids.shape == layout.positions.shape == (1, len(pasts))
    for row, places in zip(rows, layout.places.tolist(), strict=True):
        own = places[: len(row)]
        assert layout.ids[0, own].tolist() == row
        assert layout.positions[0, own].tolist() == list(range(len(row)))
        assert set(places[len(row) :]) <= {own[-1]}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_states_go_out_to_rows_and_back(rows: list[list[int]]) -> None:
    layout = shared(rows, torch.float64)
    length = layout.ids.shape[1]
    states = torch.arange(2.0 * length, dtype=torch.float64).view(length, 2)
    assert torch.equal(once(by_row(states, layout), layout), states)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_gradients_of_a_shared_token_add_up(rows: list[list[int]]) -> None:
    """Padding excepted: nothing is read there, so its gradient is zero in training."""
    layout = shared(rows, torch.float64)
    lengths = torch.tensor([len(row) for row in rows])
    read = torch.arange(layout.places.shape[1]) < lengths[:, None]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        states = torch.randn(layout.ids.shape[1], 2, 3, dtype=torch.float64, requires_grad=True)
        weight = torch.randn(*layout.places.shape, 2, 3, dtype=torch.float64)
    weight = weight * read[..., None, None]
    (found,) = torch.autograd.grad((by_row(states, layout) * weight).sum(), states)
    (expected,) = torch.autograd.grad((states[layout.places] * weight).sum(), states)
    torch.testing.assert_close(found, expected)
