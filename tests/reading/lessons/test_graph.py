"""Messages along edges, against loops over the layer's own numbers in float64."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attn_cli.answers.lessons.graph import GraphStudy
from attn_cli.core.arrays import to_numpy
from attn_cli.core.multihead import Attention
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.open import open_source
from attn_cli.models.source import Layer, SourceRequest, Texts
from attn_cli.reading.lessons import graph
from attn_cli.reading.lessons.graph import pass_messages, study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.vocabulary import Kind, Step
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lesson_pages import asked
from tests.support.readings import reading_of
from tests.support.sinks import Sinks

TEXT = "the cat sat on the mat, and the mat sat on the cat"
ROUNDING = 1e-5  # relative: float32 sums of a few dozen numbers


def layer_of(reading: Reading, layer: int) -> Attention:
    (attention,) = reading.source.attentions(reading.texts, reading.kind, [layer])
    assert isinstance(attention, Attention)
    return attention


@pytest.mark.parametrize("family", ["mistral", "gemma2", "bloom", "modernbert", "deberta-v2"])
def test_messages_add_up_to_the_layer(family: str, tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    found = study(asked(reading_of(TEXT, str(tmp_path)), 1, 1))
    for agreement in (found.context, found.output):
        assert agreement is not None
        assert agreement.rows == found.queries
        assert agreement.difference <= ROUNDING * agreement.largest


def test_messages_are_sums_over_edges(twin: Path) -> None:
    attention = layer_of(reading_of(TEXT, str(twin)), 1)
    traced = attention.trace()
    sums, edges = pass_messages(traced, attention.operands)
    weights, mask = traced.weights.astype(float), traced.mask
    values = attention.operands.values.astype(float)
    expected = np.zeros_like(sums)
    for head, i, j in np.ndindex(weights.shape):
        if mask[i, j]:
            expected[head, i] += weights[head, i, j] * values[attention.kv_head(head), j]
    np.testing.assert_allclose(sums, expected, atol=1e-12)
    assert edges == mask.sum()


def test_wrong_messages_are_noticed(twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "pass_messages", lambda *given: (2 * pass_messages(*given)[0], 1))
    found = study(asked(reading_of(TEXT, str(twins / "gpt2")), 0, 0))
    assert found.context.difference > 0.1 * found.context.largest


def test_the_row_sends_the_largest_feature_of_the_context(twin: Path) -> None:
    reading = reading_of(TEXT, str(twin))
    found, context = study(asked(reading, 1, 1)), to_numpy(layer_of(reading, 1).trace([1]).context)[0, -1]
    assert found.feature == np.abs(context).argmax()
    assert found.weights @ found.sent == pytest.approx(context[found.feature], abs=1e-5)


def _window(tmp_path: Path) -> GraphStudy:
    FAMILIES["mistral"].save(tmp_path)
    return study(asked(reading_of(TEXT, str(tmp_path)), 0, 0))


def test_a_window_has_fewer_edges_than_the_formula(tmp_path: Path) -> None:
    found = _window(tmp_path)
    assert found.edges == sum(min(4, i + 1) for i in range(found.queries))
    assert found.edges < found.formula_edges
    assert found.window is not None
    assert found.window.reach == 3


def test_degrees_are_those_of_the_weights(twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "llama"))
    found, weights = study(asked(reading, 1, 1)), layer_of(reading, 1).trace([1]).weights[0].astype(float)
    assert found.degrees is not None
    np.testing.assert_allclose(found.degrees.sent, weights.sum(axis=0))
    np.testing.assert_array_equal(found.degrees.strong, (weights > 0.1).sum(axis=1))
    row = weights[-1][weights[-1] > 0]
    assert found.degrees.effective[-1] == pytest.approx(math.exp(-(row * np.log(row)).sum()))
    strongest = found.degrees.strongest[0]
    assert strongest.query != strongest.key
    assert strongest.weight == max(weights[i, j] for i, j in np.ndindex(weights.shape) if i != j)


def test_paths_of_two_edges_in_a_causal_layer_are_the_tokens_between(twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "gpt2"))
    assert study(LessonRequest(reading, (0, 0), 6, 2)).paths == 5
    assert study(LessonRequest(reading, (0, 0), 2, 6)).paths == 0


def test_a_sink_takes_weight_and_sends_nothing() -> None:
    source = Sinks(np.array([1.0, 2.0]))
    reading = read(source, TextRequest("a b c d"))
    found = study(asked(reading, 0, 1))
    assert found.degrees is not None
    assert found.sink is not None
    assert found.degrees.sent.sum() + found.degrees.of_sink == pytest.approx(4)
    assert found.context.difference <= ROUNDING


def test_between_two_texts_no_path_has_two_edges(tmp_path: Path) -> None:
    TRANSLATORS["bart"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    found = study(asked(read(source, TextRequest("the cat sat", target="the mat", kind=Kind.CROSS)), 1, 1))
    assert found.paths is None
    assert found.edges == found.queries * found.keys
    assert found.output is not None
    assert found.output.difference <= ROUNDING * found.output.largest


def test_a_long_text_compares_the_edges_of_its_query() -> None:
    found = study(asked(reading_of("a b " * 600, "random", is_causal=True, width=8, heads=2), 0, 1))
    assert (found.degrees, found.paths) == (None, None)
    assert (found.context.rows, found.context.edges) == (1, 1_200)
    assert found.edges == 1_200 * 1_201 // 2


def test_a_text_of_one_token_has_one_edge() -> None:
    found = study(asked(reading_of("cat", "random"), 0, 0))
    assert (found.edges, found.visible) == (1, (0,))
    assert found.degrees is not None
    assert found.degrees.strongest == ()


class Changed(Sinks):
    """A source whose only layer is changed."""

    def __init__(self, change: Callable[[Attention], Attention]) -> None:
        super().__init__(None)
        self._change = change

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        for attention in super().attentions(texts, kind, layers):
            assert isinstance(attention, Attention)
            yield self._change(attention)


def test_values_that_are_not_known_are_named() -> None:
    source = Changed(lambda one: replace(one, unknown={Step.VALUES: "they were not seen"}))
    with pytest.raises(AttnError) as raised:
        study(LessonRequest(read(source, TextRequest("a b c")), (0, 0), 2, 0))
    assert str(raised.value) == (
        "this lesson needs the values that keys send, and layer 0 of random has none: they were not seen"
    )


def test_a_query_that_sees_nothing_is_refused() -> None:
    source = Changed(lambda one: replace(one, operands=replace(one.operands, mask=lambda i, j: j < i)))
    with pytest.raises(UsageError, match="query 0 may look at no key in layer 0: its row is zeros"):
        study(LessonRequest(read(source, TextRequest("a b c")), (0, 0), 0, 0))
