"""Summaries of hand-made heads: the pattern of each, and the map of a metric."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from attn_cli.analysis.head_summary import HeadSummary, summarise_heads, values_of
from attn_cli.core import masks
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import metrics_of_kind
from attn_cli.core.streaming.row_metrics import measure_operands
from attn_cli.vocabulary import Kind, Metric, Pattern
from tests.support.full_matrices import named_cells
from tests.support.made_heads import SPECIAL, TOKENS, looking_at

COARSE = 2e-5  # an entropy is a difference of two float32 numbers as large as the logits: 200 · 2⁻²⁴


def one(operands: Operands, tokens: KeyTokens = TOKENS, kind: Kind = Kind.SELF) -> HeadSummary:
    (head,) = summarise_heads(measure_operands(operands, metrics_of_kind(kind), tokens), kind, 0, [0])
    return head


@pytest.mark.parametrize("pattern", [each for each in Pattern if each is not Pattern.BROAD])
def test_a_perfect_head_scores_one_and_gets_its_pattern(pattern: Pattern) -> None:
    metric = Metric(pattern.value)
    found = one(looking_at(named_cells(TOKENS, 8, 8)[metric]))
    assert found.metrics[metric] == 1.0
    assert (found.pattern, found.score) == (pattern, 1.0)


def test_a_head_that_looks_everywhere_is_broad() -> None:
    found = one(looking_at(np.ones((8, 8), dtype=bool)))
    assert found.pattern is Pattern.BROAD
    assert found.score == pytest.approx(1.0, abs=COARSE)
    # a causal row of n keys has entropy ln n, and looks (n - 1) / 2 tokens back
    assert found.metrics[Metric.ENTROPY] == pytest.approx(np.log(np.arange(1, 9)).mean(), abs=COARSE)
    assert found.metrics[Metric.DISTANCE] == 1.75


def test_the_distance_is_averaged_with_what_a_sink_leaves_to_the_tokens() -> None:
    """Row i is even over i + 1 keys, i / 2 tokens away on average; only rows 2 and 6 leave them weight."""
    zeros = np.zeros((1, 8, 8), np.float32)
    sink = np.full((1, 8), 200, np.float32)
    sink[0, [2, 6]] = np.log([3, 7])  # half of the row
    found = one(Operands(zeros, zeros, zeros, 1.0, masks.causal, sink=sink)).metrics
    assert found[Metric.SINK] == pytest.approx(7 / 8)
    assert found[Metric.DISTANCE] == pytest.approx((1 + 3) / 2)


def test_a_previous_token_head_looks_one_token_back_and_is_sure() -> None:
    found = one(looking_at(named_cells(TOKENS, 8, 8)[Metric.PREVIOUS])).metrics
    assert (found[Metric.ENTROPY], found[Metric.LARGEST], found[Metric.DISTANCE]) == (0.0, 1.0, 7 / 8)
    assert found[Metric.RECEIVED] == 0.25  # the first token: from itself and from the next, of 8 rows


def test_a_head_on_special_tokens_scores_one_on_them() -> None:
    found = one(looking_at(np.broadcast_to(SPECIAL, (8, 8))))
    assert found.metrics[Metric.SPECIAL] == 1.0


def test_a_metric_that_no_row_could_show_has_no_value() -> None:
    tokens = KeyTokens(np.arange(8), np.zeros(8, dtype=bool))
    found = one(looking_at(np.eye(8, dtype=bool)), tokens).metrics
    assert [metric for metric, value in found.items() if value is None] == [
        Metric.SPECIAL,
        Metric.DUPLICATE,
        Metric.INDUCTION,
    ]


def test_cross_attention_has_only_metrics_that_apply_to_two_texts() -> None:
    cells = np.zeros((3, 8), dtype=bool)
    cells[:, 0] = True
    found = one(looking_at(cells, masks.everywhere), KeyTokens(None, SPECIAL), Kind.CROSS)
    assert list(found.metrics) == [
        Metric.ENTROPY,
        Metric.LARGEST,
        Metric.FIRST,
        Metric.SPECIAL,
        Metric.RECEIVED,
    ]
    assert (found.pattern, found.score, found.metrics[Metric.RECEIVED]) == (Pattern.FIRST, 1.0, 1.0)


@pytest.mark.parametrize(("kind", "weight"), [(Kind.SELF, 0.0), (Kind.ENCODER, 0.0), (Kind.CROSS, 1 / 8)])
def test_weight_on_certain_tokens_counts_the_first_row_only_in_cross_attention(
    kind: Kind, weight: float
) -> None:
    cells = np.tile(~SPECIAL, (8, 1))
    cells[0] = SPECIAL
    found = one(looking_at(cells, masks.everywhere), KeyTokens(TOKENS.ids, SPECIAL), kind)
    assert found.metrics[Metric.SPECIAL] == pytest.approx(weight, abs=COARSE)


def test_pytorch_s_layers_give_the_same_numbers() -> None:
    ours = looking_at(named_cells(TOKENS, 8, 8)[Metric.INDUCTION])
    tensor: Callable[[npt.NDArray[np.float32]], torch.Tensor] = torch.from_numpy
    hidden = masks.both(masks.causal, masks.padding(torch.ones(8, dtype=torch.bool)))
    theirs = Operands(tensor(ours.queries), tensor(ours.keys), tensor(ours.values), 1.0, hidden)
    assert one(theirs) == one(ours)
    assert to_numpy(theirs.queries).dtype == np.float32


def summary(layer: int, head: int, entropy: float | None) -> HeadSummary:
    return HeadSummary(Kind.SELF, layer, head, {Metric.ENTROPY: entropy}, None, None)


def test_the_values_of_a_metric_go_by_layer_and_head() -> None:
    heads = [summary(4, 0, 1.0), summary(1, 1, None)]
    assert values_of(heads, Metric.ENTROPY) == {(4, 0): 1.0, (1, 1): None}
