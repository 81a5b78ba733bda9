"""From a text and a model to heads, panels and labels."""

from pathlib import Path

import numpy as np
import pytest

from attn_cli import pipeline
from attn_cli.models import transformer
from attn_cli.pipeline import Question, Reading
from attn_cli.vocabulary import Step

TEXT = "the cat sat on the mat"


@pytest.fixture
def reading(twins: Path) -> Reading:
    return pipeline.read(Question(TEXT, model=str(twins / "gpt2")), {})


def test_only_the_layers_that_were_asked_for_run(reading: Reading) -> None:
    pipeline.heads(reading, [(1, 0)], [Step.WEIGHTS])
    assert len(reading.layers.seen) == 2


def test_a_layer_runs_once(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reading.layers[1]
    monkeypatch.setattr(transformer.Transformer, "_attention", None)
    assert reading.layers[1] is first
    assert reading.layers[0] is not first


def test_heads_keep_the_order_in_which_they_were_named(reading: Reading) -> None:
    found = pipeline.heads(reading, [(2, 1), (0, 3), (2, 0)], [Step.WEIGHTS])
    assert [head.name for head in found] == ["2.1", "0.3", "2.0"]
    alone = pipeline.heads(reading, [(0, 3)], [Step.WEIGHTS])[0]
    np.testing.assert_array_equal(found[1].steps[Step.WEIGHTS], alone.steps[Step.WEIGHTS])


def test_masked_cells_are_hidden_in_weights_but_not_in_scores(reading: Reading) -> None:
    head = pipeline.heads(reading, [(0, 0)], [Step.SCORES, Step.WEIGHTS, Step.KEYS])[0]
    size = len(reading.tokens)
    weights, scores, keys = (
        pipeline.view(reading, head, step) for step in (Step.WEIGHTS, Step.SCORES, Step.KEYS)
    )
    np.testing.assert_array_equal(weights.visible, np.tri(size, dtype=bool))
    assert scores.visible.all()
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
    found = pipeline.heads(reading, places, [Step.WEIGHTS])
    assert [len(row) for row in pipeline.table(reading, found, Step.WEIGHTS)] == shape


def test_labels_have_no_marker_and_no_space(reading: Reading) -> None:
    assert pipeline.labels(reading, [0]) == [reading.tokens[0].text.strip()]
    assert not any("Ġ" in label for label in pipeline.labels(reading, range(len(reading.tokens))))


def test_the_headline_says_what_computes(reading: Reading) -> None:
    count = len(reading.tokens)
    assert pipeline.headline(reading) == [
        "gpt2",
        "3 layers × 4 heads of 8 features",
        f"{count} tokens",
        "numpy, float32, cpu",
    ]


def test_a_model_is_named_after_its_directory(twins: Path) -> None:
    found = pipeline.read(Question(TEXT, model=f"{twins}/gpt2/../bert/"), {})
    assert found.source.card.name == "bert"
