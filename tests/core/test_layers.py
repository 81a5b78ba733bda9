"""What surrounds the attention: rows that go by themselves."""

import numpy as np
import torch

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.layers import gelu_tanh, row_by_row
from tests.core.libraries import Convert


def test_rows_by_themselves_are_what_they_are_together(array: Convert) -> None:
    """In 3 pieces, the last of one row; the last bit is the matrix product's, which adds in another order."""
    seen: list[int] = []
    x, map_ = (
        np.random.default_rng(0).normal(0, 1, shape).astype(np.float32) for shape in ((1025, 8), (8, 8))
    )

    def compute(rows: Array) -> Array:
        seen.append(len(rows))
        return gelu_tanh(rows @ array(map_))

    found = row_by_row(compute, array(x))
    assert seen == [512, 512, 1]
    np.testing.assert_allclose(to_numpy(found), to_numpy(gelu_tanh(array(x) @ array(map_))), 1e-6, 1e-6)


def test_rows_of_a_batch_take_gradients_in_pieces_too() -> None:
    x = torch.randn(2, 600, 4, requires_grad=True)
    row_by_row(lambda rows: rows**2, x).sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())
