"""From Python: what a model expects, and texts that it goes on with, as the commands have them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli import open_model
from attn_cli.api.predictions import ModelPredictions
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Texts
from tests.support.families import TRANSLATORS
from tests.support.language_models import MASKED, TARGETED, reference_logits, texts_of
from tests.support.reference import NUMPY
from tests.support.worlds import attn

TEXT = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"


def entries_of(predictions: ModelPredictions) -> list[dict[str, Any]]:
    """The predictions as the command writes them."""
    found = []
    for place in predictions:
        beyond = [place.actual] if place.actual and not any(e.is_actual for e in place.likeliest) else []
        found += [
            {
                "position": place.position,
                "predicts": place.predicts,
                "rank": each.rank,
                "id": each.id,
                "text": each.text,
                "logit": each.logit,
                "probability": each.probability,
                "actual": each.is_actual,
            }
            for each in (*place.likeliest, *beyond)
        ]
    return found


@pytest.mark.parametrize(("rows", "typed"), [("Thumb,-1", "Thumb,-1"), (3, "3"), (range(2), "0-1")])
def test_predictions_are_those_of_the_command(rows: Any, typed: str) -> None:
    document = attn("tokens", TEXT, "--predict", "2", "--rows", typed, "--json").document
    found = open_model().predictions(TEXT, rows=rows, count=2)
    assert entries_of(found) == document["predictions"]
    assert [each.text for each in found.tokens] == [each["text"] for each in document["tokens"]]
    assert found.is_next


def test_a_reading_predicts_at_all_its_tokens() -> None:
    found = open_model().read(TEXT).predictions(count=1)
    assert [place.position for place in found] == [*range(19)]
    assert entries_of(found) == attn("tokens", TEXT, "--predict", "1", "--json").document["predictions"]
    assert repr(found) == "<ModelPredictions of storybook: the next token at 19 places>"


def test_logits_are_the_numbers_behind_the_predictions() -> None:
    found = open_model().predictions(TEXT, rows=[4, -1])
    logits = found.logits()
    assert logits.shape == (2, 4096)
    assert logits.dtype == np.float32
    for place, row in zip(found, logits, strict=True):
        exponentials = np.exp(row.astype(np.float64))
        for each in place.likeliest:
            assert each.logit == pytest.approx(float(row[each.id]), rel=1e-6)
            assert each.probability == pytest.approx(exponentials[each.id] / exponentials.sum(), rel=1e-6)
    logits[:] = 0
    assert found.logits().any()


def test_a_masked_model_predicts_its_masked_tokens(tmp_path: Path) -> None:
    directory = MASKED["bert"].save(tmp_path)
    model, text = open_model(str(directory)), "the [MASK] sat on the [MASK]"
    found = model.predictions(text)
    texts = texts_of(open_checkpoint("twin", directory, NUMPY), text)
    expected = reference_logits(directory, MASKED["bert"].model, texts)
    rows = [token.position for token in found.tokens if token.piece == "[MASK]"]
    assert [(place.position, place.predicts, place.actual) for place in found] == [
        (row, row, None) for row in rows
    ]
    np.testing.assert_allclose(found.logits(), expected[rows], rtol=1e-4, atol=1e-5)
    assert repr(found).endswith("the token that stands there at 2 places>")
    with pytest.raises(UsageError, match="the text has no masked token"):
        model.predictions("the cat sat")


@pytest.mark.parametrize("target", [None, "a mat"])
def test_a_decoder_predicts_its_own_text_whatever_kind_is_read(target: str | None, tmp_path: Path) -> None:
    directory = TARGETED["bart"].save(tmp_path)
    model = open_model(str(directory))
    found = model.predictions("the cat sat", target=target)
    source = open_checkpoint("twin", directory, NUMPY)
    texts = Texts(source.tokens("the cat sat", None), source.target_tokens(target or ""))
    expected = reference_logits(directory, TARGETED["bart"].model, texts)
    np.testing.assert_allclose(found.logits(), expected, rtol=1e-4, atol=1e-5)
    assert [token.id for token in found.tokens] == [token.id for token in texts.target]
    again = model.read("the cat sat", target=target, kind="encoder").predictions(rows=-1)
    np.testing.assert_allclose(again.logits(), expected[-1:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "typed"),
    [
        ({}, ()),
        ({"temperature": 0.8, "top_p": 0.9, "seed": 3}, ("--temperature", 0.8, "--top-p", 0.9, "--seed", 3)),
    ],
)
def test_a_model_goes_on_with_a_text_as_in_the_command(
    options: dict[str, Any], typed: tuple[object, ...]
) -> None:
    line = ("inspect", "It was a dark", "--generate", "6", *typed, "--heads", "2.6", "--json")
    document = attn(*map(str, line)).document
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reading = open_model().read("It was a dark", generate=6, **options)
    assert reading.text == document["text"]
    assert [token.id for token in reading.tokens] == [token["id"] for token in document["tokens"]]
    assert [token.generated for token in reading.tokens[-7:]] == [False] + [True] * 6
    weights = document["attention"][0]["steps"]["weights"]
    np.testing.assert_allclose(reading.head(2, 6).weights, weights, rtol=1e-6)


def test_an_encoder_decoder_model_writes_the_text_of_its_decoder(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    reading = open_model(str(tmp_path)).read("the cat sat", generate=5, kind="cross")
    line = ("the cat sat", "--generate", "5", "--kind", "cross", "-m", str(tmp_path))
    document = attn("inspect", *line, "--heads", "1.0", "--json").document
    assert [token.id for token in reading.query_tokens] == [each["id"] for each in document["target_tokens"]]
    assert [token.generated for token in reading.query_tokens] == [False] + [True] * 5
    weights = document["attention"][0]["steps"]["weights"]
    np.testing.assert_allclose(reading.head(1, 0).weights, weights, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "kind", "problem"),
    [
        (lambda m: m.predictions(TEXT, count=0), UsageError, "count is 0, which is not at least 1"),
        (lambda m: m.predictions(TEXT, count=5000), UsageError, "--predict 5000 is more than the vocabulary"),
        (lambda m: m.predictions(TEXT, rows=99), UsageError, "row 99 does not exist"),
        (lambda m: m.read(TEXT, generate=0), UsageError, "--generate is 0, which is not at least 1"),
        (lambda m: m.read(TEXT, temperature=1.0), UsageError, "--temperature applies only with --generate"),
        (lambda m: m.read(TEXT, top_p=0.5), UsageError, "--top-p applies only with --generate"),
        (lambda m: m.read(TEXT, seed=1), UsageError, "--seed applies only to tokens that are drawn"),
        (lambda m: m.read(TEXT, generate=3, seed=1), UsageError, "--seed has no effect on --generate alone"),
        (lambda m: m.read(TEXT, generate=3, target="x"), UsageError, "--generate and --target exclude each"),
        (lambda m: m.read(TEXT, generate=3, temperature=0), UsageError, "--temperature is 0, which is not"),
        (lambda m: m.read(TEXT, generate=494), AttnError, "the continuation is too long: 19 tokens and 494"),
    ],
)
def test_a_request_without_an_answer_is_refused(call: Any, kind: type[AttnError], problem: str) -> None:
    with pytest.raises(kind) as caught:
        call(open_model())
    assert str(caught.value).startswith(problem)
    assert caught.value.hint
