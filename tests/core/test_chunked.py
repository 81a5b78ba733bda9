"""Rows computed in pieces equal those computed together."""

import numpy as np
import torch

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.chunked import row_by_row
from attn_cli.core.layers import gelu_tanh
from tests.support.libraries import Convert


def test_rows_computed_in_pieces_equal_those_computed_together(array: Convert) -> None:
    """In 3 pieces, the last of one row; the last bit may differ, as matrix products sum in another order."""
    seen: list[int] = []
    x, weight = (
        np.random.default_rng(0).normal(0, 1, shape).astype(np.float32) for shape in ((1025, 8), (8, 8))
    )

    def compute(rows: Array) -> Array:
        seen.append(len(rows))
        return gelu_tanh(rows @ array(weight))

    found = row_by_row(compute, array(x))
    assert seen == [512, 512, 1]
    np.testing.assert_allclose(to_numpy(found), to_numpy(gelu_tanh(array(x) @ array(weight))), 1e-6, 1e-6)


def test_rows_of_a_batch_take_gradients_in_pieces_too() -> None:
    x = torch.randn(2, 600, 4, requires_grad=True)
    row_by_row(lambda rows: rows**2, x).sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())


def test_the_dtype_does_not_depend_on_the_length() -> None:
    for count in (512, 513):
        x = torch.ones(count, 2, dtype=torch.float16)
        assert row_by_row(lambda rows: rows.float(), x).dtype == torch.float32
