"""The lesson on order: without positions weights move with their tokens, in every family and layer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli.answers.lessons.order import OrderStudy
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest, Texts
from attn_cli.reading.lessons.order import equal_tokens, reversed_text, study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import TextRequest, read
from attn_cli.vocabulary import Kind, OrderSource, Step
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat, and the mat sat on the cat"
_FLOAT32 = 2e-5  # weights of peaked rows, three layers deep


def of(model: Path, layer: int = 2) -> OrderStudy:
    return study(LessonRequest(reading_of(TEXT, str(model)), (layer, 1), 3, 1))


def test_special_tokens_stay_and_the_others_are_reversed(twins: Path) -> None:
    tokens = reading_of("the cat sat", str(twins / "bert")).tokens
    assert [tokens[place].text for place in reversed_text(tokens)] == ["[CLS]", "sat", "cat", "the", "[SEP]"]


@pytest.mark.parametrize("family", [*FAMILIES])
def test_without_positions_weights_move_with_their_tokens(family: str, tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    found = of(tmp_path)
    assert found.without.difference < _FLOAT32
    assert found.without.text == pytest.approx(found.without.reordered, abs=_FLOAT32)
    assert np.ptp(found.without.text) > 1e-4  # the rows are not flat
    assert found.whole.difference > 1e-2
    assert found.sources


@pytest.mark.parametrize("kind", [Kind.ENCODER, Kind.DECODER, Kind.CROSS])
@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_so_they_do_in_encoders_decoders_and_between_them(family: str, kind: Kind, tmp_path: Path) -> None:
    TRANSLATORS[family].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    reading = read(source, TextRequest(TEXT, target="the mat was tired", kind=kind))
    found = study(LessonRequest(reading, (1, 1), 1, 1))
    assert found.without.difference < _FLOAT32
    assert found.whole.difference > 1e-2


def test_the_weights_of_the_model_are_the_models(twin: Path) -> None:
    reading = reading_of(TEXT, str(twin))
    found = study(LessonRequest(reading, (1, 1), 3, 1))
    order = reversed_text(reading.tokens)
    (text,) = reading.source.attentions(reading.texts, reading.kind, [1])
    reverse = Texts(tuple(reading.tokens[place] for place in order))
    (other,) = reading.source.attentions(reverse, reading.kind, [1])
    one = text.steps([1], {Step.WEIGHTS})[Step.WEIGHTS][0]
    two = other.steps([1], {Step.WEIGHTS})[Step.WEIGHTS][0]
    assert found.whole.text == pytest.approx(one[3], abs=1e-6)
    moved = two[order.index(3)][[order.index(key) for key in range(len(order))]]
    assert found.whole.reordered == pytest.approx(moved, abs=1e-6)


@pytest.mark.parametrize(
    ("family", "sources"),
    [
        ("mpnet", ["learned", "relative"]),
        ("deberta-v2", ["content"]),
        ("modernbert", ["rotary", "window"]),
        ("bloom", ["alibi", "causal"]),
        ("mistral", ["rotary", "causal", "window"]),
    ],
)
def test_a_model_says_what_tells_it_the_order(family: str, sources: list[str], tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    found = of(tmp_path)
    assert [source.value for source in found.sources] == sources


def test_each_source_alone_tells_some_of_the_order(twins: Path) -> None:
    found = of(twins / "llama")
    assert [orders.kept for orders in found.alone] == [(OrderSource.ROTARY,), (OrderSource.CAUSAL,)]
    assert min(orders.difference for orders in found.alone) > 1e-2


def test_a_window_as_wide_as_the_text_tells_nothing(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)  # its window has 4 tokens
    source = open_source(SourceRequest(str(tmp_path)), {})
    assert isinstance(source, Checkpoint)
    told = {length: source.order_sources(Kind.SELF, 3, length) for length in (4, 5)}
    assert (OrderSource.WINDOW in told[4], OrderSource.WINDOW in told[5]) == (False, True)


def test_the_random_layer_has_sinusoids() -> None:
    reading = reading_of("the cat sat on the mat", "random")
    found = study(LessonRequest(reading, (0, 0), 1, 0))
    assert found.sources == (OrderSource.SINUSOIDS,)
    assert found.without.difference < _FLOAT32 < found.whole.difference


def test_one_token_has_no_order(twins: Path) -> None:
    reading = reading_of("cat", str(twins / "bert"))
    with pytest.raises(UsageError, match="reorders the tokens of the text, and it has 1 token") as error:
        study(LessonRequest(reading, (0, 0), 0, 0))
    assert error.value.hint == "a text of two or more tokens"


def test_a_model_of_transformers_cannot_do_without_positions(twins: Path) -> None:
    class Bridged:
        """A source that nothing can be left out of."""

        card = reading_of("cat", str(twins / "bert")).source.card

    bridged: Any = Bridged()
    reading = replace(reading_of("the cat sat", str(twins / "bert")), source=bridged)
    with pytest.raises(AttnError, match="leaves positions out of the model, and transformers computes"):
        study(LessonRequest(reading, (0, 0), 0, 0))


def test_equal_tokens_are_those_with_the_same_id_and_weight() -> None:
    tokens = reading_of("a the cat the cat the", None).keys
    the, cat = (
        [one for one, token in enumerate(tokens) if token.text.strip() == word] for word in ("the", "cat")
    )
    weights = np.zeros(len(tokens))
    weights[the], weights[cat] = 0.1, 0.3
    assert equal_tokens(tokens, weights) == tuple(cat)
    weights[cat[1]] += 2e-6
    assert equal_tokens(tokens, weights) == tuple(the[:2])
    assert equal_tokens(tokens[:3], weights) is None
