"""Evidence for a pattern on one text: the score of `attn heads`, and the clearest pair of tokens."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.analysis.evidence import TokenPair, find_evidence
from attn_cli.analysis.patterns import tally_patterns
from attn_cli.analysis.sharpness import find_sharpest_pair, measure_sharpness
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.row_metrics import measure_weights
from attn_cli.vocabulary import Metric, Pattern

NAMES_KEYS = [pattern for pattern in Pattern if pattern is not Pattern.BROAD]
EVERYWHERE = np.ones((5, 5), dtype=bool)


def test_the_clearest_pair_and_the_mean_by_hand() -> None:
    ids = KeyTokens(np.array([7, 8, 9, 7, 8]))  # 3 and 4 stood before, and 1 and 2 followed them
    weights = np.zeros((5, 5))
    weights[3, 1], weights[4, 2], weights[4, 0] = 0.25, 0.75, 1.0
    evidence = find_evidence(weights, EVERYWHERE, ids, Pattern.INDUCTION)
    assert evidence is not None
    assert evidence.score == 0.5
    assert evidence.clearest == TokenPair(4, 2, 0.75)


def test_a_pattern_that_no_row_could_show_has_no_evidence() -> None:
    assert find_evidence(np.eye(5), EVERYWHERE, KeyTokens(np.arange(5)), Pattern.INDUCTION) is None


def test_masked_keys_do_not_count() -> None:
    near = np.tril(EVERYWHERE) & np.triu(EVERYWHERE, -1)  # each token and the one before it
    ids = KeyTokens(np.array([7, 8, 9, 7, 8]))
    assert find_evidence(np.eye(5), near, ids, Pattern.DUPLICATE) is None


@pytest.mark.parametrize("pattern", NAMES_KEYS)
@given(data=st.data())
def test_the_score_is_that_of_attn_heads(pattern: Pattern, data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 9))
    ids = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))
    draw = np.random.default_rng(data.draw(st.integers(0, 99)))
    mask = np.tril(np.ones((size, size), dtype=bool), data.draw(st.integers(0, size)))
    weights: npt.NDArray[np.float64] = np.where(mask, draw.random((size, size)), 0)
    tokens = KeyTokens(ids)
    needed = (Metric(pattern.value), Metric.ENTROPY)
    (score,) = tally_patterns(measure_weights(weights[None], mask, needed, tokens))[pattern].scores
    evidence = find_evidence(weights, mask, tokens, pattern)
    assert (evidence is None) == bool(np.isnan(score))
    if evidence is not None:
        assert evidence.score == pytest.approx(score, abs=1e-12)  # sums in another order
        assert weights[evidence.clearest.query, evidence.clearest.key] == evidence.clearest.weight


def test_the_sharpest_pair_is_a_distant_one() -> None:
    weights = np.full((5, 5), 0.01)
    weights[4, 1] = 0.9
    weights[1, 1], weights[3, 2], weights[2, 0] = 0.99, 0.98, 0.97  # itself, a neighbour, the first
    plain = np.zeros(5, dtype=bool)
    assert find_sharpest_pair(weights, plain) == (4, 1)
    assert measure_sharpness(weights[None], plain)[0] > 0


def test_the_sharpest_pair_of_cross_attention_may_have_equal_positions() -> None:
    weights = np.full((3, 4), 0.01)
    weights[1, 1], weights[2, 3] = 0.9, 0.95
    special = np.array([False, False, False, True])
    assert find_sharpest_pair(weights, np.zeros(3, dtype=bool), special) == (1, 1)


def test_a_pair_that_is_masked_is_never_the_sharpest() -> None:
    weights = np.eye(6, k=-1) * 0.96 + np.tril(np.full((6, 6), 0.01))  # each looks at the token before
    query, key = find_sharpest_pair(weights, np.zeros(6, dtype=bool))
    assert key < query
    assert weights[query, key] > 0
