"""Facts about heads made by hand: by `summarise` and from full matrices, and the rows that count."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.analysis.head_summary import Glance, glances, values_of
from attn_cli.analysis.metrics import Facts, measured, metrics_of, spelled, targets
from attn_cli.core import masks
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, trace
from attn_cli.core.streaming.stream import Text
from attn_cli.vocabulary import Kind, Metric, Pattern

IDS = np.array([0, 5, 7, 5, 7, 9, 5, 7])
SPECIAL = np.arange(8) == 0
TEXT = Text(IDS, SPECIAL)
EVERY = tuple(Metric)
COARSE = 2e-5  # an entropy is a difference of two float32 numbers as large as the logits: 200 · 2⁻²⁴


def looking_at(cells: npt.NDArray[np.bool_], mask: masks.Rule = masks.causal) -> Operands:
    """One head that looks evenly at the cells (T, S); from rows without one, at the first token."""
    chosen = cells.astype(np.float32)
    chosen[chosen.sum(axis=-1) == 0, 0] = 1.0
    keys = np.eye(cells.shape[1], dtype=np.float32)[None]
    return Operands(chosen[None] * 200, keys, keys, 1.0, mask)  # exp(-200) beside 1 is nothing


def one(operands: Operands, text: Text = TEXT, kind: Kind = Kind.SELF) -> Glance:
    (found,) = glances(measured(operands, metrics_of(kind), text), kind, 0, [0])
    return found


@pytest.mark.parametrize("pattern", [each for each in Pattern if each is not Pattern.BROAD])
def test_a_perfect_head_scores_one_and_has_its_name(pattern: Pattern) -> None:
    metric = Metric(pattern.value)
    found = one(looking_at(targets(TEXT, 8, 8)[metric]))
    assert found.metrics[metric] == 1.0
    assert (found.pattern, found.score) == (pattern, 1.0)


def test_a_head_that_looks_everywhere_is_broad() -> None:
    found = one(looking_at(np.ones((8, 8), dtype=bool)))
    assert found.pattern is Pattern.BROAD
    assert found.score == pytest.approx(1.0, abs=COARSE)
    # a causal row of n keys has entropy ln n, and looks (n - 1) / 2 tokens back
    assert found.metrics[Metric.ENTROPY] == pytest.approx(np.log(np.arange(1, 9)).mean(), abs=COARSE)
    assert found.metrics[Metric.DISTANCE] == 1.75


def test_a_previous_token_head_looks_one_token_back_and_is_sure() -> None:
    found = one(looking_at(targets(TEXT, 8, 8)[Metric.PREVIOUS])).metrics
    assert (found[Metric.ENTROPY], found[Metric.LARGEST], found[Metric.DISTANCE]) == (0.0, 1.0, 7 / 8)
    assert found[Metric.RECEIVED] == 0.25  # the first token: from itself and from the next, of 8 rows


def test_a_head_on_special_tokens_scores_one_on_them() -> None:
    found = one(looking_at(np.broadcast_to(SPECIAL, (8, 8))))
    assert found.metrics[Metric.SPECIAL] == 1.0


def test_what_no_row_could_do_has_no_value() -> None:
    text = Text(np.arange(8), np.zeros(8, dtype=bool))
    found = one(looking_at(np.eye(8, dtype=bool)), text).metrics
    assert [metric for metric, value in found.items() if value is None] == [
        Metric.SPECIAL,
        Metric.DUPLICATE,
        Metric.INDUCTION,
    ]


def test_cross_attention_has_what_makes_sense_between_two_texts() -> None:
    cells = np.zeros((3, 8), dtype=bool)
    cells[:, 0] = True
    found = one(looking_at(cells, masks.everywhere), Text(None, SPECIAL), Kind.CROSS)
    assert list(found.metrics) == [
        Metric.ENTROPY,
        Metric.LARGEST,
        Metric.FIRST,
        Metric.SPECIAL,
        Metric.RECEIVED,
    ]
    assert (found.pattern, found.score, found.metrics[Metric.RECEIVED]) == (Pattern.FIRST, 1.0, 1.0)


def test_a_token_beyond_the_window_is_asked_of_no_row() -> None:
    window = masks.both(masks.causal, masks.sliding(2))
    found = measured(looking_at(np.eye(8, dtype=bool), window), EVERY, TEXT).possible
    assert np.flatnonzero(found[Metric.FIRST]).tolist() == [0, 1]
    assert not found[Metric.DUPLICATE].any()  # copies stand two tokens back or more
    assert np.flatnonzero(found[Metric.INDUCTION]).tolist() == [3, 4]  # what followed stands right before


def test_of_a_row_of_copies_the_one_before_is_followed_by_the_row_itself() -> None:
    text = Text(np.array([3, 3, 3]))
    found = measured(looking_at(np.eye(3, dtype=bool)), EVERY, text).possible
    assert np.flatnonzero(found[Metric.INDUCTION]).tolist() == [2]


RULES: dict[str, masks.Rule] = {
    "everywhere": masks.everywhere,
    "causal": masks.causal,
    "window": masks.both(masks.causal, masks.sliding(3)),
    "matrix": lambda queries, keys: np.tril(np.ones((300, 300), dtype=bool))[queries, keys],
    "padding": masks.both(masks.causal, masks.padding(np.arange(300) != 4)),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.integers(0, 99), st.integers(1, 30))
def test_two_routes_lead_to_the_same_facts(rule: masks.Rule, ids: list[int], seed: int, times: int) -> None:
    text, draw = Text(np.array(ids * times)[:270]), np.random.default_rng(seed)
    assert text.ids is not None
    text = Text(text.ids, draw.random(text.ids.size) < 0.3)
    queries, keys = draw.normal(0, 2, (2, 2, len(text.ids), 4))  # type: ignore[arg-type]
    operands = Operands(queries, keys, keys, 1.0, rule)
    spelling = trace(operands)
    same(measured(operands, EVERY, text), spelled(spelling.weights, spelling.mask, EVERY, text))


def same(found: Facts, expected: Facts) -> None:
    assert list(found.values) == list(expected.values)
    np.testing.assert_array_equal(found.seen, expected.seen)
    for metric, values in expected.values.items():
        np.testing.assert_allclose(found.values[metric], values, atol=1e-9)  # float64, distances up to 270
        if metric is not Metric.RECEIVED:
            np.testing.assert_array_equal(found.possible[metric], expected.possible[metric], metric)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_a_row_is_possible_where_a_cell_is_named(ids: list[int]) -> None:
    text = Text(np.array(ids), np.array(ids) == 0)
    mask = np.tril(np.ones((len(ids), len(ids)), dtype=bool))
    found = spelled(mask[None].astype(float), mask, EVERY, text).possible
    for metric, cells in targets(text, *mask.shape).items():
        np.testing.assert_array_equal(found[metric], (cells & mask).any(axis=-1), metric)


def test_pytorch_s_layers_give_the_same_facts() -> None:
    ours = looking_at(targets(TEXT, 8, 8)[Metric.INDUCTION])
    tensor: Callable[[npt.NDArray[np.float32]], torch.Tensor] = torch.from_numpy
    hidden = masks.both(masks.causal, masks.padding(torch.ones(8, dtype=torch.bool)))
    theirs = Operands(tensor(ours.queries), tensor(ours.keys), tensor(ours.values), 1.0, hidden)
    assert one(theirs) == one(ours)
    assert to_numpy(theirs.queries).dtype == np.float32


def test_numbers_that_are_none_are_told_of_each_head() -> None:
    queries = np.zeros((3, 8, 8), dtype=np.float32)
    queries[1, 5] = np.nan
    keys = np.eye(8, dtype=np.float32)[None]
    with np.errstate(invalid="ignore"):
        found = measured(Operands(queries, keys, keys, 1.0, masks.causal), EVERY, TEXT)
    assert found.are_finite.tolist() == [True, False, True]


def test_a_score_that_overflows_is_no_number_though_the_rest_of_its_row_is_one() -> None:
    queries, keys = np.zeros((1, 8, 8), dtype=np.float32), np.eye(8, dtype=np.float32)[None]
    queries[0, 5, 1], keys[0, 1, 1] = -1e30, 1e30
    with np.errstate(over="ignore", invalid="ignore"):
        found = measured(Operands(queries, keys, keys, 1.0, masks.causal), EVERY, TEXT)
    assert found.are_finite.tolist() == [False]


def test_special_tokens_are_asked_about_on_both_sides() -> None:
    text = Text(IDS, np.arange(8) == 5)
    found = measured(looking_at(np.eye(8, dtype=bool), masks.nearby(1)), EVERY, text).possible
    assert np.flatnonzero(found[Metric.SPECIAL]).tolist() == [4, 5, 6]


def glance(layer: int, head: int, entropy: float | None) -> Glance:
    return Glance(Kind.SELF, layer, head, {Metric.ENTROPY: entropy}, None, None)


def test_the_values_of_a_metric_go_by_layer_and_head() -> None:
    heads = [glance(4, 0, 1.0), glance(1, 1, None)]
    assert values_of(heads, Metric.ENTROPY) == {(4, 0): 1.0, (1, 1): None}
