"""Tests of the arithmetic run on both array libraries."""

import numpy as np
import pytest

from tests.support.libraries import LIBRARIES, Convert


@pytest.fixture(scope="session", params=LIBRARIES)
def array(request: pytest.FixtureRequest) -> Convert:
    """Convert numbers to an array of the library under test, keeping the dtype."""
    return LIBRARIES[request.param]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
