"""Mask rules as small hand-drawn matrices."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers.masking_utils import sliding_window_causal_mask_function

from attn_cli.core.arrays import to_numpy
from attn_cli.core.masks import Rule, both, causal, everywhere, padding, sliding
from tests.support.libraries import Convert


def drawn(array: Convert, rule: Rule, rows: int, columns: int) -> list[str]:
    """The rule as a picture: a row per query, `x` where it may attend."""
    queries, keys = array(np.arange(rows))[:, None], array(np.arange(columns))[None, :]
    allowed: npt.NDArray[np.bool_] = np.broadcast_to(to_numpy(rule(queries, keys)), (rows, columns))
    assert allowed.dtype == np.bool_
    return ["".join("x" if one else "." for one in row) for row in allowed]


@pytest.mark.parametrize(
    ("rule", "picture"),
    [
        (everywhere, ["xxxx", "xxxx", "xxxx", "xxxx"]),
        (causal, ["x...", "xx..", "xxx.", "xxxx"]),
        (sliding(2), ["xxxx", "xxxx", ".xxx", "..xx"]),
        (both(causal, sliding(1)), ["x...", ".x..", "..x.", "...x"]),
        (both(causal, sliding(2)), ["x...", "xx..", ".xx.", "..xx"]),
        (both(causal, sliding(9)), ["x...", "xx..", "xxx.", "xxxx"]),
        (both(), ["xxxx", "xxxx", "xxxx", "xxxx"]),
        (both(causal), ["x...", "xx..", "xxx.", "xxxx"]),
        (both(causal, sliding(3), sliding(2)), ["x...", "xx..", ".xx.", "..xx"]),
    ],
)
def test_a_rule_matches_its_picture(array: Convert, rule: Rule, picture: list[str]) -> None:
    assert drawn(array, rule, 4, 4) == picture


def test_a_rule_counts_both_positions_from_the_start(array: Convert) -> None:
    assert drawn(array, causal, 2, 4) == ["x...", "xx.."]
    assert drawn(array, sliding(2), 4, 2) == ["xx", "xx", ".x", ".."]


def test_padding_is_masked(array: Convert) -> None:
    rule = padding(array([True, False, True]))
    assert drawn(array, rule, 2, 3) == ["x.x", "x.x"]
    assert drawn(array, both(causal, rule), 3, 3) == ["x..", "x..", "x.x"]


def test_every_text_of_a_batch_has_its_own_padding(array: Convert) -> None:
    queries, keys = array(np.arange(2))[:, None], array(np.arange(3))[None, :]
    real = array([[True, True, True], [True, False, False]])  # (B, S)
    allowed = to_numpy(both(causal, padding(real))(queries, keys))
    assert allowed.shape == (2, 1, 2, 3)
    np.testing.assert_array_equal(allowed[0, 0], [[True, False, False], [True, True, False]])
    np.testing.assert_array_equal(allowed[1, 0], [[True, False, False], [True, False, False]])


@pytest.mark.parametrize("window", [1, 3, 8])
def test_a_causal_window_is_the_one_of_mistral(array: Convert, window: int) -> None:
    theirs, places = sliding_window_causal_mask_function(window), torch.arange(6)
    picture = ["".join("x" if theirs(0, 0, i, j) else "." for j in places) for i in places]
    assert drawn(array, both(causal, sliding(window)), 6, 6) == picture
