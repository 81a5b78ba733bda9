"""The lesson on the mask: each number against one of our own in float64."""

from pathlib import Path

import numpy as np
import pytest

from attn_cli.answers.lessons.mask import Imagined, MaskStudy
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.lessons.mask import study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import TextRequest, read
from attn_cli.vocabulary import Kind
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat and the cat"
_FLOAT32 = 1e-6  # weights, at most 1


def softmax(logits: np.ndarray) -> np.ndarray:
    """In float64; zeros where everything is -inf."""
    powers = np.exp(logits - max(logits.max(), -1e30))
    return np.asarray(powers / max(powers.sum(), 1e-300))


def of(model: Path | None, query: int, text: str = TEXT, layer: int = 1) -> MaskStudy:
    reading = reading_of(text, None if model is None else str(model))
    return study(LessonRequest(reading, (layer, 1), query, 0))


def causes(found: MaskStudy) -> list[str | None]:
    return [None if reason is None else reason.cause for reason in found.reasons]


def check_weights(found: MaskStudy) -> None:
    """Each treatment is a softmax of the same logits."""
    bare = found.open.logits
    for row, logits in (
        (found.open, bare),
        (found.masked, np.where(found.hidden, -np.inf, bare)),
        (found.zeros, np.where(found.hidden, 0.0, bare)),
    ):
        assert row.weights == pytest.approx(softmax(logits), abs=_FLOAT32)
    assert found.zeroed == pytest.approx(np.where(found.hidden, 0.0, softmax(bare)), abs=_FLOAT32)


def test_a_causal_mask_hides_later_keys() -> None:
    found = of(None, 3)
    assert list(found.hidden) == [key > 3 for key in range(found.hidden.size)]
    assert causes(found) == [None if key <= 3 else "causal" for key in range(found.hidden.size)]
    assert found.imagined is None
    check_weights(found)


def test_the_row_with_its_mask_is_the_row_of_the_model(twin: Path) -> None:
    found = of(twin, 4)
    check_weights(found)
    assert found.masked.weights[found.hidden].sum() == 0
    assert found.masked.weights.sum() == pytest.approx(1)


def test_what_the_hidden_keys_leave_is_shared_out(twins: Path) -> None:
    found = of(twins / "gpt2", 4)
    kept = found.zeroed.sum()
    assert 0 < kept < 1
    assert found.zeroed / kept == pytest.approx(found.masked.weights, abs=_FLOAT32)


def test_a_query_from_which_nothing_is_hidden_gives_way_to_another() -> None:
    last = len(reading_of(TEXT).queries) - 1
    found = of(None, last)
    assert (found.asked, found.query) == (last, last // 2)
    assert found.hidden.any()


def test_a_model_without_a_mask_gets_a_causal_one_as_a_what_if(twins: Path) -> None:
    found = of(twins / "bert", 4)
    assert found.imagined is Imagined.CAUSAL
    assert list(found.hidden) == [key > 4 for key in range(found.hidden.size)]
    check_weights(found)


def test_cross_attention_gets_padding_as_a_what_if(tmp_path: Path) -> None:
    TRANSLATORS["bart"].save(tmp_path)
    reading = read(
        open_source(SourceRequest(str(tmp_path)), {}), TextRequest(TEXT, target="a cat", kind=Kind.CROSS)
    )
    found = study(LessonRequest(reading, (1, 1), 1, 0))
    assert found.imagined is Imagined.PADDING
    assert {cause for cause in causes(found) if cause} == {"padding"}
    assert found.hidden[-1]
    assert found.hidden.sum() == max(1, found.hidden.size // 4)
    check_weights(found)


def test_a_window_hides_what_is_too_far_back(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    found = of(tmp_path, 6)
    assert set(causes(found)) == {None, "window", "causal"}
    check_weights(found)


def test_a_soft_cap_and_a_bias_are_in_the_logits_that_are_masked(tmp_path: Path) -> None:
    for family in ("gemma2", "bloom"):
        FAMILIES[family].save(tmp_path / family)
        check_weights(of(tmp_path / family, 3))


def test_a_text_of_one_token_has_nothing_to_hide() -> None:
    reading = reading_of("cat", "random")
    with pytest.raises(UsageError, match="this lesson hides a key from a query, and the text has 1 token"):
        study(LessonRequest(reading, (0, 0), 0, 0))


def test_a_recorded_bias_of_hidden_keys_is_not_known(tmp_path: Path) -> None:
    FAMILIES["bloom"].save(tmp_path)
    reading = reading_of(TEXT, str(tmp_path))
    object.__setattr__(reading.source, "engine", "transformers")
    with pytest.raises(AttnError, match="to the scores of hidden keys in layer 1 is not known") as error:
        study(LessonRequest(reading, (1, 1), 3, 0))
    assert error.value.hint == "another model, or leave out --model"
