"""Each kind of hostile input ends as it should: its status, two lines, a few seconds, little memory."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.all_cases import CASES
from tests.hostile.cases import Case, Place
from tests.hostile.processes import Processes, processes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runner() -> Iterator[Processes]:
    with processes() as found:
        yield found


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("twins")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_hostile_input_ends_soon_with_two_lines(
    case: Case, runner: Processes, twins: Path, tmp_path: Path
) -> None:
    with Place(tmp_path, twins) as place:
        ended = runner.run(case.build(place), tmp_path)
        assert case.faults(ended, place) == []


def test_a_kind_has_at_least_three_inputs() -> None:
    assert min(Counter(case.kind for case in CASES).values()) >= 3
