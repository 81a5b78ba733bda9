"""The sharpness that decides which head is shown by default."""

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.analysis.sharpness import measure_sharpness, telling_cells

PLAIN = np.zeros(5, dtype=bool)
BRACKETED = np.array([True, False, False, False, True])  # [CLS] ... [SEP]


def looking(*targets: int) -> npt.NDArray[np.float64]:
    """(T, T) weights in which each row attends to one token."""
    return np.eye(len(targets))[list(targets)]


ELSEWHERE = looking(3, 4, 4, 1, 2)
DULL = {
    "itself": looking(0, 1, 2, 3, 4),
    "the token before": looking(0, 0, 1, 2, 3),
    "the token after": looking(1, 2, 3, 4, 4),
    "the first": looking(0, 0, 0, 0, 0),
    "everywhere": np.full((5, 5), 0.2),
}


@pytest.mark.parametrize("dull", DULL.values(), ids=DULL)
def test_a_head_that_looks_elsewhere_beats(dull: npt.NDArray[np.float64]) -> None:
    found = measure_sharpness(np.stack([dull, ELSEWHERE]), PLAIN)
    assert found.argmax() == 1
    assert found[0] == pytest.approx(0, abs=0.01)


def test_the_sharpness_of_a_few_rows_by_hand() -> None:
    # Rows 0 and 1 look at token 3 and at token 4, rows 2 to 4 at the first: on average 1/5 for each.
    # Row 2 may tell of token 4 alone, to which it gives nothing: 0. So do rows 3 and 4.
    weights = looking(3, 4, 0, 0, 0)
    assert measure_sharpness(weights[None], PLAIN)[0] == pytest.approx((0.8 + 0.8) / 5)


def test_an_uninformative_row_does_not_count() -> None:
    # Of three tokens only the first has one that is two places away and not the first.
    assert measure_sharpness(looking(2, 0, 0)[None], np.zeros(3, dtype=bool))[0] == pytest.approx(1 - 1 / 3)


def test_a_token_that_every_row_attends_to_counts_little() -> None:
    one_word, own_words = looking(4, 4, 4, 4, 4), ELSEWHERE
    assert measure_sharpness(one_word[None], PLAIN)[0] < measure_sharpness(own_words[None], PLAIN)[0] / 2


def test_special_tokens_count_neither_as_queries_nor_as_keys() -> None:
    cells = telling_cells(BRACKETED)
    assert not cells[BRACKETED].any()
    assert not cells[:, BRACKETED].any()
    np.testing.assert_array_equal(np.argwhere(cells), [[1, 3], [3, 1]])


def test_a_head_that_looks_at_special_tokens_is_dull() -> None:
    assert measure_sharpness(looking(4, 4, 4, 4, 4)[None], BRACKETED)[0] == 0


@pytest.mark.parametrize("special", [np.zeros(1, bool), np.zeros(2, bool), np.ones(3, bool)])
def test_a_very_short_text_has_sharpness_0(special: npt.NDArray[np.bool_]) -> None:
    size = special.size
    np.testing.assert_array_equal(measure_sharpness(np.full((4, size, size), 1 / size), special), np.zeros(4))
