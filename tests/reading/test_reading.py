"""From a text and a model to heads, panels and labels."""

from pathlib import Path

import numpy as np
import pytest

from attn_cli.commands.results.output import headline
from attn_cli.core import attention
from attn_cli.core.multihead import Attention
from attn_cli.errors import AttnError
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import head_steps
from attn_cli.show.grids import step_grid, step_panels
from attn_cli.vocabulary import Step
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat"


def test_only_the_requested_layers_run(reading: Reading, ran: list[int]) -> None:
    head_steps(reading, [(1, 0)], [Step.WEIGHTS])
    assert ran == [0, 1]


def test_a_layer_runs_once_however_many_heads_of_it_are_shown(reading: Reading, ran: list[int]) -> None:
    head_steps(reading, [(1, 2), (0, 0), (1, 0)], [Step.SCORES, Step.WEIGHTS])
    assert ran == [0, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("step", [Step.LOGITS, Step.WEIGHTS, Step.KEYS])
def test_a_number_that_is_not_finite_is_never_shown(
    reading: Reading, step: Step, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(reading.tokens)
    monkeypatch.setattr(Attention, "steps", lambda *_: {step: np.full((1, size, size), value)})
    with pytest.raises(AttnError, match=f"^the {step} of head 0.0 are not all finite numbers$"):
        head_steps(reading, [(0, 0)], [step])


def test_overflowing_scores_are_not_fully_masked_rows(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = attention.score
    monkeypatch.setattr(attention, "score", lambda operands: real(operands) - np.inf)
    with pytest.raises(AttnError, match=r"^the logits of head 0.0 are not all finite numbers$"):
        head_steps(reading, [(0, 0)], [Step.WEIGHTS])


def test_heads_keep_the_order_in_which_they_were_named(reading: Reading) -> None:
    found = head_steps(reading, [(2, 1), (0, 3), (2, 0)], [Step.WEIGHTS])
    assert [head.name for head in found] == ["2.1", "0.3", "2.0"]
    alone = head_steps(reading, [(0, 3)], [Step.WEIGHTS])[0]
    np.testing.assert_array_equal(found[1].steps[Step.WEIGHTS], alone.steps[Step.WEIGHTS])


def test_masked_cells_are_hidden_in_weights_but_not_in_scores(reading: Reading) -> None:
    head = head_steps(reading, [(0, 0)], [Step.SCORES, Step.WEIGHTS, Step.KEYS])[0]
    size = len(reading.tokens)
    weights, scores, keys = (
        step_grid(reading.sides, head, step) for step in (Step.WEIGHTS, Step.SCORES, Step.KEYS)
    )
    np.testing.assert_array_equal(weights.visible, np.tri(size, dtype=bool))
    assert scores.visible.all()
    np.testing.assert_array_equal(scores.allowed, np.tri(size, dtype=bool))
    assert weights.limits[0] == 0
    assert keys.columns == tuple(str(feature) for feature in range(8))


@pytest.mark.parametrize(
    ("places", "shape"),
    [
        ([(0, 0)], [1]),
        ([(0, 0), (0, 3)], [2]),
        ([(0, 1), (1, 1), (2, 1)], [3]),  # one head in every layer: side by side
        ([(0, 0), (1, 1)], [2]),
        ([(0, 0), (0, 1), (1, 0)], [3]),  # not the same heads of each: no grid
        ([(layer, head) for layer in range(3) for head in range(4)], [4, 4, 4]),
    ],
)
def test_heads_are_a_grid_where_every_layer_has_the_same(
    places: list[tuple[int, int]], shape: list[int], reading: Reading
) -> None:
    found = head_steps(reading, places, [Step.WEIGHTS])
    assert [len(row) for row in step_panels(reading.sides, found, Step.WEIGHTS)] == shape


def test_the_headline_has_the_backend(reading: Reading) -> None:
    count = len(reading.tokens)
    assert headline(reading) == [
        "gpt2",
        "3 layers × 4 heads of 8 features",
        f"{count} tokens",
        "numpy, float32, cpu",
    ]


def test_a_model_is_named_after_its_directory(twins: Path) -> None:
    found = reading_of(TEXT, f"{twins}/gpt2/../bert/")
    assert found.source.card.name == "bert"
