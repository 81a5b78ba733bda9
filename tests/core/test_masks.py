"""Mask rules as small hand-drawn matrices."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.masking_utils import sliding_window_causal_mask_function

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.masks import (
    HiddenBy,
    OfRows,
    Rule,
    both,
    causal,
    everywhere,
    nearby,
    padding,
    reason,
    sliding,
)
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


def even_keys(queries: Array, keys: Array) -> Array:
    """A rule that does not say why."""
    return (queries >= 0) & (keys % 2 == 0)


RULES: dict[str, Callable[[Convert], Rule]] = {
    "everywhere": lambda _: everywhere,
    "causal": lambda _: causal,
    "sliding": lambda _: sliding(3),
    "causal window": lambda _: both(causal, sliding(3)),
    "nearby": lambda _: nearby(2),
    "causal nearby": lambda _: both(causal, nearby(2)),
    "padding": lambda array: padding(array([True, True, False, True, True, False])),
    "causal padding": lambda array: both(causal, padding(array([False, True, False, True, True, True]))),
    "other": lambda _: both(nearby(2), even_keys),
    "of rows": lambda array: OfRows(both(causal, sliding(3)), array(np.asarray([4, 0, 5, 3, 2, 1]))),
    "narrowed rows": lambda array: both(nearby(1), OfRows(causal, array(np.asarray([0, 0, 5, 1, 2, 1])))),
}


@pytest.mark.parametrize(
    ("name", "query", "key", "expected"),
    [
        ("everywhere", 0, 5, None),
        ("causal", 2, 2, None),
        ("causal", 2, 3, HiddenBy("causal")),
        ("sliding", 4, 2, None),
        ("sliding", 4, 1, HiddenBy("window", 3)),
        ("sliding", 1, 5, None),
        ("causal window", 4, 1, HiddenBy("window", 3)),
        ("causal window", 4, 5, HiddenBy("causal")),
        ("nearby", 3, 1, None),
        ("nearby", 3, 0, HiddenBy("nearby", 2)),
        ("nearby", 2, 5, HiddenBy("nearby", 2)),
        ("causal nearby", 3, 0, HiddenBy("window", 3)),
        ("causal nearby", 3, 4, HiddenBy("causal")),
        ("padding", 0, 2, HiddenBy("padding")),
        ("padding", 0, 3, None),
        ("causal padding", 4, 2, HiddenBy("padding")),
        ("causal padding", 1, 2, HiddenBy("causal")),  # and padding
        ("other", 3, 1, HiddenBy("other")),
        ("other", 3, 0, HiddenBy("nearby", 2)),
        ("of rows", 0, 1, HiddenBy("window", 3)),  # the query at position 4
        ("of rows", 1, 1, HiddenBy("causal")),  # the query at position 0
        ("of rows", 2, 5, None),
        ("narrowed rows", 1, 1, HiddenBy("causal")),
    ],
)
def test_a_hidden_key_has_a_reason(
    array: Convert, name: str, query: int, key: int, expected: HiddenBy | None
) -> None:
    assert reason(RULES[name](array), query, key, array(np.zeros(1))) == expected


@pytest.mark.parametrize("name", RULES)
def test_a_key_has_a_reason_exactly_if_it_is_hidden(array: Convert, name: str) -> None:
    rule = RULES[name](array)
    picture = drawn(array, rule, 6, 6)
    for query, key in np.ndindex(6, 6):
        found = reason(rule, query, key, array(np.zeros(1)))
        assert (found is None) == (picture[query][key] == "x"), (query, key)


@given(st.lists(st.sampled_from(sorted(RULES)), min_size=2, max_size=3))
def test_combined_rules_have_a_reason_where_one_of_them_hides(names: list[str]) -> None:
    rules = [RULES[name](np.asarray) for name in names]
    for query, key in np.ndindex(6, 6):
        causes = [reason(rule, query, key, np.zeros(1)) for rule in rules]
        assert (reason(both(*rules), query, key, np.zeros(1)) is None) == (causes == [None] * len(rules))


def test_padding_hides_a_key_of_a_batch_if_no_text_has_it(array: Convert) -> None:
    rule = padding(array([[True, True, False], [True, False, False]]))
    found = [reason(rule, 0, key, array(np.zeros(1))) for key in range(3)]
    assert found == [None, None, HiddenBy("padding")]
