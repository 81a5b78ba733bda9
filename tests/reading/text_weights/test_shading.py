"""The weights of a row on the pieces of a text: nothing is lost, and the mean is that of the heads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attn_cli.answers.shaded_text import ShadedText, common_range
from attn_cli.grid import Head
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.reading.steps import head_steps
from attn_cli.reading.text_weights.shading import shaded_texts
from attn_cli.reading.window import Window
from attn_cli.vocabulary import Kind, Step
from tests.support.families import TRANSLATORS
from tests.support.readings import reading_of
from tests.support.sinks import Sinks

TEXT = "the café 👩‍👩‍👧 sat on the 日本 mat"


def heads_of(reading: Reading, rows: list[int], *heads: tuple[int, int]) -> list[Head]:
    count = len(reading.keys)
    window = Window(len(reading.queries), count, rows, range(count))
    return head_steps(reading, heads, (Step.WEIGHTS,), window)


def shaded(
    reading: Reading, columns: list[int] | None = None, *, is_mean: bool = False
) -> tuple[ShadedText, ...]:
    heads = heads_of(reading, [3, 9], (0, 0), (0, 1))
    return shaded_texts(
        reading, heads, range(len(reading.keys)) if columns is None else columns, is_mean=is_mean
    )


def test_the_weight_of_a_piece_is_the_sum_over_its_tokens() -> None:
    reading = reading_of(TEXT)
    (head,) = heads_of(reading, [9], (0, 0))
    (text,) = shaded_texts(reading, [head], range(len(reading.keys)))
    for piece, weight in zip(text.pieces, text.weights, strict=True):
        assert weight == pytest.approx(head.steps[Step.WEIGHTS][0, list(piece.tokens)].sum(), abs=1e-7)
    assert any(len(piece.tokens) > 1 for piece in text.pieces)


@pytest.mark.parametrize("columns", [None, [1, 2, 5], [0]])
def test_what_is_shown_and_what_is_not_is_all_of_the_row(columns: list[int] | None) -> None:
    for text in shaded(reading_of(TEXT), columns):
        assert text.weights[text.shown].sum() + (text.elsewhere or 0.0) == pytest.approx(1, abs=1e-6)
        assert (text.elsewhere is None) is (columns is None)


def test_a_sink_takes_the_rest() -> None:
    source = Sinks(np.array([1.0, -1.0]))
    reading = read(source, TextRequest("the cat sat on the mat and it was not a dog at all"))
    for text in shaded(reading, [0, 1, 2]):
        assert text.sink is not None
        assert text.sink > 0
        assert text.weights.sum() + text.sink + (text.elsewhere or 0) == pytest.approx(1, abs=1e-6)


def test_the_mean_is_that_of_the_heads() -> None:
    reading = reading_of(TEXT)
    early, late, *others = shaded(reading)
    mean = shaded(reading, is_mean=True)
    assert [text.title for text in mean] == ["mean weights of 0.0, 0.1"] * 2
    for text, one, other in zip(mean, (early, late), others, strict=True):
        np.testing.assert_allclose(text.weights, (one.weights + other.weights) / 2, atol=1e-7)


@pytest.mark.parametrize(
    ("heads", "title"),
    [
        ([(0, h) for h in range(8)], "mean weights of the 8 heads of layer 0"),
        ([(lay, h) for lay in range(4) for h in range(8)], "mean weights of all 32 heads"),
        ([(lay, h) for lay in range(2) for h in range(3)], "mean weights of 6 heads"),
    ],
)
def test_a_mean_says_of_which_heads(heads: list[tuple[int, int]], title: str) -> None:
    reading = reading_of("the cat sat")
    (text,) = shaded_texts(reading, heads_of(reading, [1], *heads), range(len(reading.keys)), is_mean=True)
    assert text.title == title


def test_later_tokens_are_masked_in_a_causal_model() -> None:
    reading = reading_of("the cat sat")
    (text,) = shaded_texts(reading, heads_of(reading, [1], (0, 0)), range(4))
    assert [piece.text for piece, is_masked in zip(text.pieces, text.masked, strict=True) if is_masked] == [
        "cat",
        "sat",
    ]
    assert text.masked_tokens == 2
    assert text.query_pieces == {1}


def test_the_query_of_cross_attention_stands_in_the_text_of_the_decoder(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    reading = read(source, TextRequest("the cat", target="sat on the mat", kind=Kind.CROSS))
    (text,) = shaded_texts(reading, heads_of(reading, [1], (0, 0)), range(len(reading.keys)))
    (query,) = text.query_pieces
    assert text.query_text[query].tokens == (1,)
    assert "".join(piece.text for piece in text.query_text if not piece.is_mark) == "sat on the mat"
    assert "".join(piece.text for piece in text.pieces if not piece.is_mark) == "the cat"


def test_shades_span_0_to_1_unless_every_weight_is_small() -> None:
    (text, *_) = shaded(reading_of(TEXT))
    small = replace(text, weights=text.weights / text.largest * 0.19)
    large = replace(text, weights=text.weights / text.largest * 0.2)
    assert common_range((small,)) == pytest.approx((0, 0.19))
    assert common_range((small, large)) == (0, 1)
    assert common_range((replace(text, weights=text.weights * 0),)) == (0, 1)
