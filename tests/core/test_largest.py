"""The largest numbers of each row equal those of a stable sort, whatever is masked or equal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.core.largest import LargestOfRows, joined


@given(
    seed=st.integers(0, 2**32 - 1),
    columns=st.sampled_from([1, 3, 63, 64, 65, 700]),
    most=st.sampled_from([1, 2, 5, 9, 1000]),
    different=st.sampled_from([1, 2, 3000]),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_the_largest_are_the_first_of_a_stable_sort(
    seed: int, columns: int, most: int, different: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.integers(0, different, (2, 7, columns)) - 1).astype(np.float32)
    visible = rng.random((7, columns)) < share
    found = LargestOfRows.of(values, visible, most)
    for head, row in np.ndindex(2, 7):
        seen = np.flatnonzero(visible[row])
        numbers = values[head, row, seen]
        first = seen[np.argsort(-numbers, kind="stable")][:most]
        count = first.size
        assert found.columns[head, row, :count].tolist() == first.tolist()
        assert found.values[head, row, :count].tolist() == values[head, row, first].tolist()
        assert found.counts[head, row] == seen.size
        assert found.lowest[head, row] == numbers.min(initial=np.inf)
        assert found.highest[head, row] == numbers.max(initial=-np.inf)


@pytest.mark.parametrize("size", [1, 3, 10])
def test_blocks_of_rows_are_those_rows(size: int) -> None:
    values = np.random.default_rng(0).normal(size=(3, 10, 200))
    visible = np.tri(10, 200, 150, dtype=bool)
    whole = LargestOfRows.of(values, visible, 4)
    blocks = [
        LargestOfRows.of(values[:, first : first + size], visible[first : first + size], 4)
        for first in range(0, 10, size)
    ]
    for name in ("columns", "values", "counts", "lowest", "highest"):
        assert np.array_equal(getattr(joined(blocks), name), getattr(whole, name))


def test_a_mask_of_a_matrix_is_listed_too() -> None:
    found = LargestOfRows.of(np.array([[[False, True, True]]]), np.ones((1, 3), dtype=bool), 2)
    assert found.columns.tolist() == [[[1, 2]]]
    assert found.values.tolist() == [[[1, 1]]]
