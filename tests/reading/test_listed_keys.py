"""The largest keys of each row, a block of rows at a time, equal a loop over full matrices in float64."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.hiding import Hiding
from attn_cli.core.multihead import Attention
from attn_cli.grid import Head
from attn_cli.models.bridge.captured_layer import CapturedLayer
from attn_cli.models.source import Layer
from attn_cli.reading import window
from attn_cli.reading.steps import ShownLayer
from attn_cli.reading.window import Window, listed_window
from attn_cli.vocabulary import Kind, Step
from tests.core.streaming.test_stream import EXACT, layer_of
from tests.core.test_hiding import draw_hiding, exact_trace
from tests.support.libraries import LIBRARIES

Numbers = npt.NDArray[np.floating]

PAIRWISE = (Step.SCORES, Step.MASK, Step.LOGITS, Step.WEIGHTS)


def listed(layer: Layer, chosen: Window, block: int, *steps: Step) -> list[Head]:
    """All heads, with at most `block` numbers of a matrix at once."""
    with patch.object(window, "LARGEST", block):
        return list(ShownLayer(Kind.SELF, 0, layer).heads(range(layer.heads), steps, chosen))


def expected_keys(row: Numbers, visible: npt.NDArray[np.bool_], most: int) -> Numbers:
    """The largest visible numbers of a row, one after the other."""
    rest = {key: float(row[key]) for key in range(row.size) if visible[key]}
    found = list[float]()
    while rest and len(found) < most:
        best = max(rest, key=lambda key: rest[key])
        found.append(rest.pop(best))
    return np.array(found)


def check_rows(head: Head, step: Step, whole: Numbers, visible: npt.NDArray[np.bool_], most: int) -> None:
    """Each row lists the largest numbers of `whole` (R, C) in order, each at its own place."""
    ranking, values = head.rankings[step], np.asarray(head.steps[step], dtype=np.float64)
    for row in range(len(head.queries)):
        expected = expected_keys(whole[row], visible[row], most)
        count = ranking.is_listed[row].sum()
        columns = ranking.columns[row, :count]
        assert len(set(columns.tolist())) == count == expected.size
        assert visible[row, columns].all()
        assert ranking.counts[row] == visible[row].sum()
        np.testing.assert_allclose(values[row, :count], expected, EXACT, EXACT)
        np.testing.assert_allclose(values[row, :count], whole[row, columns], EXACT, EXACT)
    if visible.any():
        seen = whole[visible]
        np.testing.assert_allclose(ranking.span, (seen.min(), seen.max()), EXACT, EXACT)


def draw_window(draw: Any, queries: int, keys: int, most: int) -> Window:
    rows = st.lists(st.integers(0, queries - 1), min_size=1, unique=True)
    columns = st.lists(st.integers(0, keys - 1), min_size=1, unique=True)
    chosen, of_columns = draw(st.none() | rows.map(sorted)), draw(st.none() | columns.map(sorted))
    return listed_window((queries, keys), chosen, of_columns, most, draw(FEW))


FEW = st.sampled_from([None, 1, 4, 50])


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data(), most=st.sampled_from([1, 3, 200]), block=st.sampled_from([1, 300, 1 << 20]))
@settings(max_examples=60)
def test_listed_keys_are_the_largest_of_full_matrices(
    library: str, data: st.DataObject, most: int, block: int
) -> None:
    operands, _, _ = layer_of(data.draw, LIBRARIES[library])
    queries, keys = int(operands.queries.shape[-2]), int(operands.keys.shape[-2])
    chosen = draw_window(data.draw, queries, keys, most)
    whole = exact_trace(operands)
    steps = (*PAIRWISE, *(() if operands.bias is None else (Step.BIAS,)))
    heads = listed(Attention(None, operands, None), chosen, block, *steps)
    part = np.ix_(list(chosen.rows), list(chosen.columns))
    mask = to_numpy(whole.mask)[part]
    for head in heads:
        for step in steps:
            if step is Step.BIAS:
                bias = operands.bias
                assert bias is not None
                full = _bias_of(operands)[head.head]
            elif step is Step.MASK:
                full = to_numpy(whole.mask)
            else:
                full = to_numpy(getattr(whole, step))[head.head]
            seen = np.ones_like(mask) if step is Step.MASK else mask
            check_rows(head, step, full[part].astype(np.float64), seen, most)


def _bias_of(operands: Operands) -> Numbers:
    from attn_cli.core.attention import position_bias

    bias = to_numpy(position_bias(operands))
    sizes = int(operands.queries.shape[-2]), int(operands.keys.shape[-2])
    return np.broadcast_to(bias, (operands.heads, *sizes))


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data(), most=st.sampled_from([1, 3]), block=st.sampled_from([1, 300, 1 << 20]))
@settings(max_examples=60)
def test_hidden_keys_are_never_listed_and_rows_are_divided_by_what_is_left(
    library: str, data: st.DataObject, most: int, block: int
) -> None:
    operands, _, _ = layer_of(data.draw, LIBRARIES[library])
    queries, keys = int(operands.queries.shape[-2]), int(operands.keys.shape[-2])
    if keys == 1:
        return
    hiding = draw_hiding(data.draw, keys)
    chosen = listed_window((queries, keys), None, None, most).without(hiding)
    whole = exact_trace(operands)
    weights, others = to_numpy(whole.weights).astype(np.float64), hiding.others(keys)
    for head in listed(Attention(None, operands, None), chosen, block, Step.WEIGHTS):
        assert head.hidden is not None
        shown, visible = weights[head.head][:, others], to_numpy(whole.mask)[:, others]
        left = shown.sum(axis=-1)
        np.testing.assert_allclose(head.hidden.left, left, EXACT, EXACT)
        if hiding.is_renormalized:
            is_left = head.hidden.left > 0  # float32 may have nothing left where float64 has 1e-50
            shown = np.where(is_left[:, None], shown / np.where(left > 0, left, 1)[:, None], 0)
            visible = visible & is_left[:, None]
        check_rows(head, Step.WEIGHTS, shown, visible, most)


@given(data=st.data(), most=st.sampled_from([1, 4]), hides=st.booleans())
@settings(max_examples=30)
def test_captured_weights_are_listed_as_they_were_observed(
    data: st.DataObject, most: int, hides: bool
) -> None:
    operands, _, _ = layer_of(data.draw, LIBRARIES["torch"])
    whole = exact_trace(replace(operands, sink=None))
    layer = CapturedLayer(whole.logits, whole.weights, kv_heads=1, why="it is a test")
    queries, keys = whole.mask.shape
    hiding = draw_hiding(data.draw, keys) if hides and keys > 1 else Hiding(())
    chosen = listed_window((queries, keys), None, None, most)
    chosen = chosen.without(hiding) if hiding.keys else chosen
    for head in listed(layer, chosen, 300, Step.WEIGHTS):
        full = to_numpy(whole.weights)[head.head].astype(np.float64)
        mask = torch.isfinite(whole.logits).any(dim=0).numpy()[:, list(chosen.columns)]
        shown = full[:, list(chosen.columns)]
        if hiding.is_renormalized and head.hidden is not None:
            left = head.hidden.left
            shown = shown / np.where(left > 0, left, 1)[:, None]
            mask = mask & (left > 0)[:, None]
        check_rows(head, Step.WEIGHTS, shown, mask, most)


def test_rows_that_nobody_chose_are_evenly_spaced_up_to_the_last() -> None:
    assert listed_window((32_000, 9), None, None, 3, 20).rows == [1600 * n - 1 for n in range(1, 21)]
    assert listed_window((10, 9), None, None, 3, 20).rows == list(range(10))
    assert listed_window((10, 9), None, None, 3).rows == list(range(10))
    assert listed_window((10, 9), [4], None, 3, 20).rows == [4]
