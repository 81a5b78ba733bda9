"""Hidden keys keep their part in the softmax: what is shown equals full matrices without their columns."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_cli.core.arrays import namespace, to_numpy
from attn_cli.core.attention import Operands, Trace, trace
from attn_cli.core.hiding import Hiding, as_shown, logsumexp_of, of_keys
from attn_cli.core.shown_metrics import measure_shown, measure_shown_weights
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import metrics_of_kind
from attn_cli.core.streaming.pooling import Pooled, pool_others
from attn_cli.vocabulary import Kind, Metric
from tests.core.streaming.test_stream import EXACT, compiled_or_not, layer_of
from tests.support.libraries import LIBRARIES

Numbers = npt.NDArray[np.floating]


def draw_hiding(draw: Any, keys: int) -> Hiding:
    """Some keys, but not all; or the first one, the case that matters most."""
    some = st.lists(st.integers(0, keys - 1), min_size=1, max_size=keys - 1, unique=True)
    hidden = draw(some | st.just([0]))
    return Hiding(tuple(sorted(hidden)), draw(st.booleans()))


def exact_trace(operands: Operands) -> Trace:
    """The matrices in float64: beside a sink far above the scores, float32 leaves nothing to divide."""
    xp = namespace(operands.queries)
    sides: dict[str, Any] = {
        name: None if side is None else xp.astype(side, xp.float64)
        for name in ("queries", "keys", "values", "sink")
        for side in (getattr(operands, name),)
    }
    return trace(replace(operands, **sides))


def expected_of(whole: Trace, hiding: Hiding) -> tuple[Numbers, Numbers, Numbers]:
    """The rows as they are shown, from full matrices, in float64; what hidden keys took, and what is left."""
    weights = to_numpy(whole.weights).astype(np.float64)
    is_hidden = np.isin(np.arange(weights.shape[-1]), hiding.keys)
    shown, hidden = weights[..., ~is_hidden], weights[..., is_hidden].sum(axis=-1)
    left = shown.sum(axis=-1)
    if hiding.is_renormalized:
        shown = np.where(left[..., None] > 0, shown / np.where(left > 0, left, 1)[..., None], 0)
    return shown, hidden, left


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=60)
def test_shown_rows_and_what_hidden_keys_took_are_whole(library: str, data: st.DataObject) -> None:
    operands, _, _ = layer_of(data.draw, LIBRARIES[library])
    whole, keys = exact_trace(operands), operands.keys.shape[-2]
    if keys == 1:
        return
    hiding = draw_hiding(data.draw, keys)
    shown, shares = as_shown(to_numpy(whole.weights), hiding)
    rows, hidden, left = expected_of(whole, hiding)
    np.testing.assert_allclose(shown[..., hiding.others(keys)], rows, EXACT, EXACT)
    np.testing.assert_allclose(shares.hidden, hidden, EXACT, EXACT)
    sink = 0 if whole.sink is None else to_numpy(whole.sink)
    looks = to_numpy(whole.mask).any(axis=-1) | (whole.sink is not None)
    total = shares.hidden + shares.left + sink
    np.testing.assert_allclose(total[:, looks], 1, atol=EXACT)
    np.testing.assert_array_equal(total[:, ~looks], 0)
    if hiding.is_renormalized:
        sums = shown[..., hiding.others(keys)].sum(axis=-1)
        np.testing.assert_allclose(sums, left > 0, atol=1e-4)  # a row of 500 float32 weights


@pytest.mark.parametrize("way", [*LIBRARIES, "compiled"])
@given(data=st.data(), most=st.sampled_from([1, 2, 5, 33, 1024]))
@settings(max_examples=60)
def test_pooled_cells_are_the_means_of_what_is_shown(way: str, data: st.DataObject, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        compiled_or_not(patch, way)
        operands, _, _ = layer_of(data.draw, LIBRARIES["torch" if way == "compiled" else way])
        keys = operands.keys.shape[-2]
        if keys == 1:
            return
        hiding = draw_hiding(data.draw, keys)
        whole = exact_trace(operands)
        found = pool_others(operands, most, hiding)
    shown, hidden, left = expected_of(whole, hiding)
    others = hiding.others(keys)
    expected = Pooled.of(shown, to_numpy(whole.mask)[:, others], most)
    assert found.cells == expected.cells
    np.testing.assert_allclose(found.weights, expected.weights, EXACT, EXACT)
    np.testing.assert_array_equal(found.visible, expected.visible)
    assert found.hidden is not None
    assert found.left is not None
    np.testing.assert_allclose(found.hidden, means(hidden, found.cells[0]), EXACT, EXACT)
    np.testing.assert_allclose(found.left, means(left, found.cells[0]), EXACT, EXACT)
    assert (found.sink is None) == (whole.sink is None)
    if found.sink is not None and whole.sink is not None:
        np.testing.assert_allclose(found.sink, means(to_numpy(whole.sink), found.cells[0]), EXACT, EXACT)
    assert found.are_finite.all()


def means(rows: Numbers, tall: int) -> Numbers:
    """The means of every `tall` rows of (H, T)."""
    return np.stack(
        [rows[:, first : first + tall].mean(axis=-1) for first in range(0, rows.shape[1], tall)], -1
    )


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=30)
def test_some_keys_of_a_layer_have_its_columns(library: str, data: st.DataObject) -> None:
    operands, _, _ = layer_of(data.draw, LIBRARIES[library])
    keys = sorted(data.draw(st.sets(st.integers(0, operands.keys.shape[-2] - 1), min_size=1)))
    logits = to_numpy(trace(operands).logits)[..., keys]
    np.testing.assert_allclose(to_numpy(trace(of_keys(operands, keys)).logits), logits, EXACT, EXACT)
    ends = np.logaddexp.reduce(logits.astype(np.float64), axis=-1)
    np.testing.assert_allclose(to_numpy(logsumexp_of(of_keys(operands, keys))), ends, EXACT, EXACT)


def entropy_of(*shares: Numbers) -> Numbers:
    """-Σ α ln α over the last axis of each."""
    every = np.concatenate(shares, axis=-1)
    return np.asarray(-(every * np.log(np.where(every > 0, every, 1))).sum(axis=-1))


@pytest.mark.parametrize("way", [*LIBRARIES, "compiled"])
@given(data=st.data())
@settings(max_examples=60)
def test_metrics_are_those_of_the_rows_as_they_are_shown(way: str, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        compiled_or_not(patch, way)
        operands, ids, special = layer_of(data.draw, LIBRARIES["torch" if way == "compiled" else way])
        keys = operands.keys.shape[-2]
        if keys == 1:
            return
        hiding = draw_hiding(data.draw, keys)
        is_one_text = keys == operands.queries.shape[-2]
        tokens = KeyTokens(ids if is_one_text else None, special, on=ids == 1)
        metrics = metrics_of_kind(Kind.SELF if is_one_text else Kind.CROSS)
        found = measure_shown(operands, metrics, tokens, hiding)
        whole = exact_trace(operands)
    weights, mask = to_numpy(whole.weights), to_numpy(whole.mask)
    sink = None if whole.sink is None else to_numpy(whole.sink)
    other = measure_shown_weights(weights, mask, metrics, tokens, hiding, sink)
    assert list(found.values) == list(other.values)
    shown, hidden, left = expected_of(whole, hiding)
    rows = left > 1e-6  # those with less are quotients of numbers next to nothing
    for metric, values in other.values.items():
        if metric is not Metric.RECEIVED:
            kept = rows if hiding.is_renormalized or metric is Metric.DISTANCE else slice(None)
            np.testing.assert_allclose(found.values[metric][kept], values[kept], 1e-4, 1e-4, err_msg=metric)
        if metric in found.eligible:
            np.testing.assert_array_equal(found.eligible[metric], other.eligible[metric], metric)
    beside = (
        [] if hiding.is_renormalized else [hidden[..., None], *([] if sink is None else [sink[..., None]])]
    )
    np.testing.assert_allclose(
        found.values[Metric.ENTROPY][rows], entropy_of(shown, *beside)[rows], 1e-4, 1e-4
    )
    np.testing.assert_allclose(found.values[Metric.LARGEST][rows], shown.max(axis=-1)[rows], 1e-4, 1e-4)
    np.testing.assert_allclose(found.values[Metric.HIDDEN], hidden, EXACT, EXACT)
    if sink is not None:
        np.testing.assert_allclose(found.values[Metric.SINK], sink, EXACT, EXACT)
    others = hiding.others(keys)
    flags = special[others]
    np.testing.assert_allclose(
        found.values[Metric.SPECIAL][rows], shown[..., flags].sum(axis=-1)[rows], 1e-4, 1e-4
    )
    np.testing.assert_array_equal(found.visible_keys, mask[:, others].sum(axis=-1))
    assert found.are_finite.all()
