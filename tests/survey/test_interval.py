"""Intervals, compared with SciPy's."""

import pytest
from scipy import stats

from attn_cli.survey.interval import student_quantile, wilson_interval


@pytest.mark.parametrize("degrees", [1, 2, 3, 7, 30, 499, 10_000, 1_000_000])
def test_the_quantile_is_that_of_students_t(degrees: int) -> None:
    assert student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-8)


@pytest.mark.parametrize(("shown", "documents"), [(0, 1), (1, 1), (0, 50), (5, 20), (999, 1000)])
def test_the_interval_of_a_share_is_wilsons(shown: int, documents: int) -> None:
    expected = stats.binomtest(shown, documents).proportion_ci(0.95, method="wilson")
    assert wilson_interval(shown, documents) == pytest.approx((expected.low, expected.high), abs=1e-12)
