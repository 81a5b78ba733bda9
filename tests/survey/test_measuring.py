"""What a survey measures of each document is what `attn heads` measures of it."""

import os
from pathlib import Path

import numpy as np
import pytest

from attn_cli.errors import UsageError
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.source import SourceRequest
from attn_cli.reading.measurement.focus import choose_focus
from attn_cli.reading.metrics import measure_heads
from attn_cli.reading.reading import TextRequest, read
from attn_cli.survey import measuring
from attn_cli.survey.measuring import Surveyor
from attn_cli.survey.records import Batch, Document, Measured, SurveyRequest, Unread
from attn_cli.vocabulary import Kind, Metric, Pattern, Step
from tests.support.families import FAMILIES
from tests.support.twins import TEXTS

CLOSE = 1e-6
LONG = "Sam sang a song to the cat, and the cat sang a song to Sam. Once upon a time the song was sad."


def documents(*texts: str) -> Batch:
    return Batch(0, tuple(Document("texts.txt", line, text) for line, text in enumerate(texts, 1)))


def surveyed(request: SurveyRequest, *texts: str) -> tuple[Surveyor, list[Measured]]:
    surveyor = Surveyor(request, os.environ)
    result = surveyor.measure(0, documents(*texts))
    assert not result.unread
    return surveyor, list(result.measured)


def agree(surveyor: Surveyor, measured: Measured, rows: str | None = None, on: str | None = None) -> None:
    """Every number of a document is that of `attn heads`."""
    reading = read(surveyor.source, TextRequest(measured.passage.text, kind=surveyor.layout.kind))
    focus = choose_focus(reading, rows, on)
    heads = measure_heads(reading, surveyor.layout.places, lambda *_: None, focus=focus)
    for index, metric in enumerate(surveyor.layout.metrics):
        expected = [head.metrics.get(metric) for head in heads]
        found = [None if np.isnan(value) else value for value in measured.values[index]]
        assert [one is None for one in found] == [one is None for one in expected], metric
        for one, other in zip(found, expected, strict=True):
            assert one is None or one == pytest.approx(other, rel=CLOSE, abs=CLOSE), metric
    for index, pattern in enumerate(surveyor.layout.patterns):
        for head, summary in enumerate(heads):
            told = {share.pattern: share.share for share in summary.patterns}
            if pattern in told:
                assert measured.shares[index, head] == pytest.approx(told[pattern], abs=CLOSE)


def test_weights_are_kept_between_texts_only_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = dict[float, bytes]()
    weights = 4 * 4_339_200  # storybook's numbers in float32
    for free in (4.1 * weights, 3.9 * weights):
        monkeypatch.setattr(measuring, "free_bytes", lambda _, free=free: free)
        monkeypatch.setattr(measuring, "check", lambda *_: None)
        surveyor = Surveyor(SurveyRequest(SourceRequest()), os.environ, processes=2)
        (one,) = surveyor.measure(0, documents(LONG)).measured
        (source,) = surveyor._sources.values()  # noqa: SLF001
        assert isinstance(source, Checkpoint)
        assert (source.kept is None) == (free < 4 * weights)
        found[free] = one.values.tobytes()
    assert len(set(found.values())) == 1


def test_every_number_is_that_of_attn_heads() -> None:
    surveyor, found = surveyed(SurveyRequest(SourceRequest()), LONG, "Once upon a time.", "a b a b " * 20)
    for measured in found:
        agree(surveyor, measured)
    assert Metric.INDUCTION in surveyor.layout.metrics
    assert np.isfinite(found[0].shares).any()


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_of_every_family_a_document_is_measured_as_if_it_were_alone(family: str, tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    request = SurveyRequest(SourceRequest(str(tmp_path), device="cpu"))
    surveyor, found = surveyed(request, *TEXTS, TEXTS[1] * 2)
    for measured in found:
        agree(surveyor, measured)


def test_the_order_of_documents_changes_no_number_of_them() -> None:
    texts = [LONG, "Once upon a time.", "a b a b " * 20]
    (_, there), (_, back) = (surveyed(SurveyRequest(SourceRequest()), *each) for each in (texts, texts[::-1]))
    for one, other in zip(there, back[::-1], strict=True):
        assert np.array_equal(one.values, other.values, equal_nan=True)
        assert np.array_equal(one.shares, other.shares, equal_nan=True)


def test_chosen_rows_and_keys_are_those_of_each_document() -> None:
    request = SurveyRequest(SourceRequest(), rows="-1", on="Sam")
    surveyor, found = surveyed(request, LONG, "Sam saw Sam and Sam.")
    for measured in found:
        agree(surveyor, measured, rows="-1", on="Sam")
    assert surveyor.layout.patterns == ()  # these rows alone name no head


def test_a_document_without_the_words_that_are_asked_for_is_named_and_left_out() -> None:
    surveyor = Surveyor(SurveyRequest(SourceRequest(), on="Sam"), os.environ)
    result = surveyor.measure(0, documents("Once upon a time.", LONG))
    assert [one.passage.document for one in result.measured] == [1]
    (unread,) = result.unread
    assert (unread.source, unread.place) == ("texts.txt", 1)
    assert unread.why == "'Sam' is not a word of the text: Once upon a time."


def test_what_cannot_be_read_keeps_its_place_among_the_documents() -> None:
    surveyor = Surveyor(SurveyRequest(SourceRequest()), os.environ)
    broken = Unread("texts.txt", 2, "not UTF-8")
    batch = Batch(7, (Document("texts.txt", 1, LONG), broken, Document("texts.txt", 3, LONG)))
    result = surveyor.measure(0, batch)
    assert [one.passage.document for one in result.measured] == [7, 9]
    assert result.unread == [broken]
    assert result.documents == 3


def test_the_row_that_follows_a_pattern_most_is_that_row() -> None:
    surveyor, (found,) = surveyed(SurveyRequest(SourceRequest()), LONG)
    index = surveyor.layout.patterns.index(Pattern.PREVIOUS)
    head = int(np.nanargmax(found.shares[index]))
    place = surveyor.layout.places[head]
    reading = read(surveyor.source, TextRequest(LONG))
    (layer,) = surveyor.source.attentions(reading.texts, reading.kind, [place[0]])
    weights = np.asarray(layer.steps([place[1]], [Step.WEIGHTS])[Step.WEIGHTS])[0]
    row = int(found.best[index, head])
    assert found.peaks[index, head] == pytest.approx(weights[row, row - 1], abs=CLOSE)
    assert found.peaks[index, head] >= max(weights[at, at - 1] for at in range(2, len(weights))) - CLOSE


def test_a_decoder_has_no_text_in_a_survey(tmp_path: Path) -> None:
    from tests.support.families import TRANSLATORS

    TRANSLATORS["t5"].save(tmp_path)
    source = SourceRequest(str(tmp_path))
    surveyor, found = surveyed(SurveyRequest(source), *TEXTS)
    assert surveyor.layout.kind is Kind.ENCODER
    agree(surveyor, found[0])
    with pytest.raises(UsageError, match="cross attention needs a text for the decoder"):
        Surveyor(SurveyRequest(source, kind=Kind.CROSS), os.environ)


@pytest.mark.parametrize(("window", "stride"), [(12, None), (12, 4), (9, 20)])
def test_a_long_document_is_cut_into_texts_that_can_be_shown_again(window: int, stride: int | None) -> None:
    request = SurveyRequest(SourceRequest(), window=window, stride=stride)
    surveyor, found = surveyed(request, LONG)
    assert len(found) > 1
    for measured in found:
        passage = measured.passage
        assert passage.tokens <= window
        assert LONG[passage.start :].startswith(passage.text)
        agree(surveyor, measured)
    starts = [measured.passage.start for measured in found]
    assert starts == sorted(set(starts))
    if stride is None:
        assert "".join(measured.passage.text for measured in found).replace(" ", "") == LONG.replace(" ", "")


def test_a_short_document_is_not_cut() -> None:
    _, (found,) = surveyed(SurveyRequest(SourceRequest(), window=100), LONG)
    assert (found.passage.start, found.passage.text) == (0, LONG)


def test_a_text_with_more_tokens_than_positions_is_named_or_cut() -> None:
    text = LONG * 60
    result = Surveyor(SurveyRequest(SourceRequest()), os.environ).measure(0, documents(text))
    assert "positions" in result.unread[0].why
    _, found = surveyed(SurveyRequest(SourceRequest(), window=256), text)
    assert len(found) > 4
