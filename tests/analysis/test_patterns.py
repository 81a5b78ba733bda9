"""Hand-made heads that follow a single pattern score 1 for it."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.analysis.patterns import NEEDED, add_tallies, choose_pattern, name_pattern, tally_patterns
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.row_metrics import RowMetrics, measure_weights
from attn_cli.vocabulary import Metric, Pattern
from tests.support.full_matrices import named_cells
from tests.support.made_heads import IDS


def cells_of(pattern: Pattern, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(T, T) the cells of the pattern."""
    return named_cells(KeyTokens(ids), ids.size, ids.size)[Metric(pattern.value)]


def head(pattern: Pattern, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(1, T, T) uniform over the tokens of the pattern; rows without such a token attend to the first."""
    cells = cells_of(pattern, ids).astype(float)
    cells[cells.sum(axis=-1) == 0, 0] = 1.0
    weights: npt.NDArray[np.float64] = (cells / cells.sum(axis=-1, keepdims=True))[None]
    return weights


def measured(weights: npt.NDArray[np.float64], ids: npt.NDArray[np.int64]) -> RowMetrics:
    """The measurements of causal heads."""
    mask = np.tril(np.ones(weights.shape[-2:], dtype=bool))
    return measure_weights(weights, mask, NEEDED, KeyTokens(ids))


@pytest.mark.parametrize("pattern", [each for each in Pattern if each is not Pattern.BROAD])
def test_a_head_that_follows_only_one_pattern_scores_one(pattern: Pattern) -> None:
    assert tally_patterns(measured(head(pattern, IDS), IDS))[pattern].scores == [1.0]


def test_for_a_broad_head_a_sink_is_one_more_key() -> None:
    """Even over the keys and the sink: broad. Even over the keys, with nearly all on the sink: not."""
    mask = np.tril(np.ones((8, 8), dtype=bool))
    keys = mask.sum(axis=-1)
    for share, score in ((1 / (keys + 1), 1.0), (np.full(8, 0.99), 0.05)):
        weights = (mask * ((1 - share) / keys)[:, None])[None]
        found = measure_weights(weights, mask, NEEDED, KeyTokens(IDS), share[None])
        assert tally_patterns(found)[Pattern.BROAD].scores == pytest.approx([score], abs=0.01)


def test_a_head_that_leaves_little_beside_its_sink_shows_no_pattern() -> None:
    weights, mask = head(Pattern.PREVIOUS, IDS), np.tril(np.ones((8, 8), dtype=bool))
    found = measure_weights(0.01 * weights, mask, NEEDED, KeyTokens(IDS), np.full((1, 8), 0.99))
    scores = {pattern: float(tally.scores[0]) for pattern, tally in tally_patterns(found).items()}
    assert scores[Pattern.PREVIOUS] == pytest.approx(0.01)
    assert name_pattern(scores) is None


def test_the_cells_of_a_pattern_match_its_description() -> None:
    def of_row(pattern: Pattern) -> list[int]:
        return np.flatnonzero(cells_of(pattern, IDS)[6]).tolist()

    assert of_row(Pattern.DUPLICATE) == [1, 3]
    assert of_row(Pattern.INDUCTION) == [2, 4]
    assert of_row(Pattern.PREVIOUS) == [5]
    assert of_row(Pattern.CURRENT) == [6]
    assert of_row(Pattern.FIRST) == [0]


def test_what_followed_a_copy_right_before_is_not_the_token_itself() -> None:
    assert not cells_of(Pattern.INDUCTION, np.array([3, 3])).any()


def test_rows_in_which_the_pattern_is_impossible_do_not_count() -> None:
    found = tally_patterns(measured(head(Pattern.INDUCTION, IDS), IDS))
    assert found[Pattern.INDUCTION].rows == 4  # 5 and 7 occurred before: positions 3, 4, 6, 7
    assert found[Pattern.PREVIOUS].rows == 7
    assert np.isnan(
        tally_patterns(measured(np.ones((1, 2, 2)), np.array([1, 2])))[Pattern.INDUCTION].scores
    ).all()


def test_a_uniform_head_is_fully_broad_and_a_sharp_one_not_at_all() -> None:
    even = np.tril(np.ones((8, 8)))[None] / np.arange(1, 9)[:, None]
    assert tally_patterns(measured(even, IDS))[Pattern.BROAD].scores == pytest.approx([1.0])
    assert tally_patterns(measured(head(Pattern.PREVIOUS, IDS), IDS))[Pattern.BROAD].scores == [0.0]


def test_earlier_rows_can_be_left_out() -> None:
    weights = head(Pattern.CURRENT, IDS)
    weights[:, :4] = np.eye(8)[0]
    assert tally_patterns(measured(weights, IDS), first_row=4)[Pattern.CURRENT].scores == [1.0]
    assert tally_patterns(measured(weights, IDS))[Pattern.CURRENT].scores == pytest.approx([4 / 7])


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.integers(0, 5))
def test_two_texts_score_as_the_mean_of_their_rows(ids: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    texts = [np.array(ids), np.array(ids[::-1])]
    weights = [np.tril(draw.random((2, len(ids), len(ids)))) for _ in texts]
    found = [tally_patterns(measured(*text)) for text in zip(weights, texts, strict=True)]
    for pattern in Pattern:
        both, each = add_tallies(text[pattern] for text in found), [text[pattern] for text in found]
        assert both.rows == sum(tally.rows for tally in each)
        np.testing.assert_allclose(both.totals, np.sum([tally.totals for tally in each], axis=0))


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        ({Pattern.INDUCTION: 0.7, Pattern.FIRST: 0.9}, Pattern.INDUCTION),
        ({Pattern.PREVIOUS: 0.5, Pattern.INDUCTION: 0.45}, Pattern.PREVIOUS),
        ({Pattern.PREVIOUS: 0.3, Pattern.FIRST: 0.6}, Pattern.FIRST),
        ({Pattern.BROAD: 0.9}, Pattern.BROAD),
        ({Pattern.BROAD: 0.5, Pattern.DUPLICATE: 0.2}, None),
        ({Pattern.DUPLICATE: 0.4}, Pattern.DUPLICATE),
        ({Pattern.DUPLICATE: 0.399}, None),
        ({Pattern.FIRST: 0.5}, Pattern.FIRST),
        ({Pattern.FIRST: 0.499}, None),
        ({Pattern.BROAD: 0.75}, Pattern.BROAD),
        ({Pattern.BROAD: 0.749}, None),
        ({}, None),
    ],
)
def test_a_head_is_known_for_its_most_prominent_pattern(
    scores: dict[Pattern, float], name: Pattern | None
) -> None:
    assert name_pattern(scores) is name


@pytest.mark.parametrize("pattern", [Pattern.INDUCTION, Pattern.DUPLICATE, Pattern.PREVIOUS, Pattern.CURRENT])
def test_four_tenths_of_the_weight_single_a_head_out(pattern: Pattern) -> None:
    assert name_pattern({pattern: 0.4}) is pattern
    assert name_pattern({pattern: 0.399}) is None


def test_a_first_token_head_has_half_of_its_weight_there() -> None:
    assert name_pattern({Pattern.FIRST: 0.5, Pattern.BROAD: 0.9}) is Pattern.FIRST
    assert name_pattern({Pattern.FIRST: 0.499, Pattern.BROAD: 0.9}) is Pattern.BROAD


def test_a_broad_head_has_three_quarters_of_the_entropy_that_it_could_have() -> None:
    assert name_pattern({Pattern.BROAD: 0.75}) is Pattern.BROAD
    assert name_pattern({Pattern.BROAD: 0.749}) is None


@pytest.mark.parametrize(
    ("ids", "pattern"),
    [
        ([1, 2, 3, 1, 2, 4], Pattern.PREVIOUS),  # two tokens that stood before
        ([1, 2, 3, 1, 2, 3], Pattern.INDUCTION),  # three
        ([1, 2, 1, 1, 1], Pattern.INDUCTION),
        ([1, 1, 1, 1], Pattern.PREVIOUS),  # of the second, what followed its copy is the token itself
    ],
)
def test_three_tokens_that_stood_before_show_induction(ids: list[int], pattern: Pattern) -> None:
    assert choose_pattern(np.array(ids)) is pattern
