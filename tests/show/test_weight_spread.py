"""Which pictures of weights are on a log scale."""

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.grid import Head, Sink
from attn_cli.show.weight_spread import LONG, reason_for_log, rests_on_one_key
from attn_cli.vocabulary import Kind, Step


def a_head(weights: npt.NDArray[np.floating], *, causal: bool = False, width: int = 1) -> Head:
    rows, columns = weights.shape
    mask = np.tri(rows, columns, dtype=bool) if causal else None
    keys = tuple(range(0, columns * width, width))
    return Head(
        Kind.SELF,
        0,
        0,
        0,
        1.0,
        tuple(range(0, rows * width, width)),
        keys,
        {Step.WEIGHTS: weights},
        mask,
        cells=(width, width),
    )


def on_first(share: float, keys: int = 5) -> npt.NDArray[np.floating]:
    """Rows with this share of the weight on the first key."""
    weights = np.full((keys, keys), (1 - share) / (keys - 1))
    weights[:, 0] = share
    return weights


@pytest.mark.parametrize(("share", "rests"), [(0.51, True), (0.49, False)])
def test_a_head_rests_on_a_key_with_more_than_half_of_its_weight(share: float, rests: bool) -> None:
    assert rests_on_one_key(a_head(on_first(share))) == rests


def test_rows_without_a_choice_do_not_count() -> None:
    """Of a causal text, the first three rows can look at fewer than four keys."""
    weights = np.tril(np.ones((5, 5))) / np.arange(1, 6)[:, None]
    weights[:3] = np.eye(5)[0]
    assert not rests_on_one_key(a_head(weights, causal=True))
    assert not rests_on_one_key(a_head(np.eye(3)[[0, 0, 0]], causal=True))


def test_a_diagonal_rests_on_no_key() -> None:
    assert not rests_on_one_key(a_head(np.eye(8)))


def test_a_head_may_rest_on_its_learned_sink() -> None:
    head = a_head(np.full((4, 5), 0.08))
    assert not rests_on_one_key(head)
    sunk = Head(
        **{name: getattr(head, name) for name in ("kind", "layer", "head", "kv_head", "scale")},
        queries=head.queries,
        keys=head.keys,
        steps=head.steps,
        sink=Sink(None, np.full(4, 0.6)),
    )
    assert rests_on_one_key(sunk)


@pytest.mark.parametrize(("keys", "reason"), [(LONG, ""), (LONG + 1, "the text is long")])
def test_more_than_256_keys_are_a_long_text(keys: int, reason: str) -> None:
    assert LONG == 256
    assert reason_for_log([a_head(np.full((2, keys), 1 / keys))]) == reason


def test_the_keys_of_cells_count_one_by_one() -> None:
    assert reason_for_log([a_head(np.eye(100), width=3)]) == "the text is long"


def test_most_of_the_heads_decide() -> None:
    sink, other = a_head(on_first(0.9)), a_head(np.eye(5))
    assert reason_for_log([sink, other]) == ""
    assert reason_for_log([sink, sink, other]) == "one key takes most of the weight in 2 of 3 heads"
    assert reason_for_log([sink]) == "one key takes most of the weight"


def test_weight_out_of_sight_asks_for_a_log_scale() -> None:
    part = a_head(on_first(0.9, 8)[:, 1:])
    assert reason_for_log([part]) == "keys out of sight take most of the weight"
    assert reason_for_log([a_head(on_first(0.4, 8)[:, 1:])]) == ""
    both = [part, a_head(on_first(0.9)), a_head(np.eye(5))]
    assert reason_for_log(both) == (
        "one key takes most of the weight in 1 of 3 heads, and keys out of sight take most of the weight in "
        "1 of 3 heads"
    )
