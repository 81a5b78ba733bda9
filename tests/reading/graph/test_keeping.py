"""Which edges are kept: the fewest of the strongest that hold a share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.errors import AttnError
from attn_cli.reading.graph import keeping
from attn_cli.reading.graph.keeping import strongest

SIZES = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("share", "places", "held"),
    [(0.4, [2], 0.5), (0.5, [2], 0.5), (0.51, [2, 0], 0.75), (0.75, [2, 0], 0.75), (1.0, [2, 0, 1, 3], 1.0)],
)
def test_the_fewest_of_the_strongest_hold_the_share(share: float, places: list[int], held: float) -> None:
    order, kept = strongest(np.array([2.0, 1.0, 4.0, 1.0]), share)
    assert order.tolist() == places
    assert (kept.asked, kept.held, kept.kept, kept.total) == (share, held, len(places), 4)


@given(SIZES, st.floats(0.01, 0.999))
def test_one_edge_less_holds_less_than_the_share(sizes: list[float], share: float) -> None:
    order, kept = strongest(np.array(sizes), share)
    found = np.array(sizes)[order]
    whole = sum(sizes)
    assert found.sum() >= share * whole * (1 - 1e-9)  # two ways to add up
    assert found[:-1].sum() < share * whole * (1 + 1e-9)
    assert kept.held == pytest.approx(found.sum() / whole)
    assert set(found) == set(sorted(sizes, reverse=True)[: len(found)])


def test_a_graph_of_everything_keeps_edges_too_small_to_change_the_sum() -> None:
    order, kept = strongest(np.array([1.0, 1e-30, 1e-30]), 1.0)
    assert (len(order), kept.held) == (3, 1.0)


def test_a_graph_without_edges_holds_all_of_nothing() -> None:
    order, kept = strongest(np.zeros(0), 0.9)
    assert (len(order), kept.held, kept.kept, kept.total) == (0, 1.0, 0, 0)


def test_more_edges_than_a_file_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_MOST_KEPT", 3)
    assert len(strongest(np.ones(10), 0.3)[0]) == 3
    with pytest.raises(AttnError) as error:
        strongest(np.ones(10), 0.35)
    assert error.value.problem == "--keep 0.35 keeps 4 of 10 edges: a graph has at most 3"
    assert error.value.hint == "a smaller share, or fewer heads: --heads"
