"""What a model expects at places of a text: the order of the tokens, ranks, blocks of rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading import predictions
from attn_cli.reading.predictions import largest, predict
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.record import record

INFINITY = float("inf")


@record(frozen=True, slots=True)
class Given:
    """A predictor with given logits (T, V)."""

    table: npt.NDArray[np.float32]
    is_next: bool = True

    @property
    def vocabulary(self) -> int:
        return int(self.table.shape[-1])

    def logits(self, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        return self.table[list(rows)]


def reading_of(monkeypatch: pytest.MonkeyPatch, table: Any, text: str = "Once upon", **how: Any) -> Reading:
    """A reading of four tokens by the bundled model, which expects these logits."""
    source = open_source(SourceRequest())
    monkeypatch.setattr(type(source), "predictor", lambda *_: Given(np.asarray(table, np.float32), **how))
    return read(source, TextRequest(text))


def test_the_largest_come_first_and_equal_ones_by_their_ids() -> None:
    logits = np.array([1, 5, 3, 5, 3, 0, 3], np.float32)
    assert largest(logits, 1) == [1]
    assert largest(logits, 4) == [1, 3, 2, 4]
    assert largest(logits, 7) == [1, 3, 2, 4, 6, 0, 5]


def test_a_rank_is_one_more_than_the_number_of_likelier_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.zeros((4, 4096), np.float32)
    table[:, :3] = [9, 7, 7]
    reading = reading_of(monkeypatch, table)
    first = predict(reading, "0", 4).places[0]
    assert [(each.id, each.rank) for each in first.likeliest] == [(0, 1), (1, 2), (2, 2), (3, 4)]
    assert first.actual is not None
    assert first.actual.rank == 4
    assert (first.position, first.predicts) == (0, 1)


def test_probabilities_are_the_softmax_over_the_whole_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.tile(np.log(np.arange(1, 5, dtype=np.float32)), (4, 1)) + 700  # exp overflows float32
    monkeypatch.setattr(predictions, "_actual", lambda *_: None)
    (place,) = predict(reading_of(monkeypatch, table), "0", 4).places
    assert [each.probability for each in place.likeliest] == pytest.approx([0.4, 0.3, 0.2, 0.1], rel=1e-4)


def test_the_token_that_follows_is_the_actual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = reading_of(monkeypatch, np.zeros((4, 4096)))
    found = predict(reading, None, 1).places
    following = [token.id for token in reading.tokens[1:]]
    assert [each.actual.id for each in found if each.actual] == following
    assert found[-1].actual is None
    assert found[-1].predicts == len(reading.tokens)


def test_a_masked_model_predicts_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = reading_of(monkeypatch, np.zeros((4, 4096)), is_next=False)
    found = predict(reading, "all", 1).places
    assert [(each.position, each.predicts) for each in found] == [(place, place) for place in range(4)]
    assert [each.actual.id for each in found if each.actual] == [token.id for token in reading.tokens]
    with pytest.raises(UsageError) as raised:
        predict(reading, None, 1)
    problem = "the text has no masked token, and the tokenizer of storybook names none"
    assert (raised.value.problem, raised.value.hint) == (problem, "--rows TOKENS")


@pytest.mark.parametrize("number", [np.nan, INFINITY])
def test_what_is_not_finite_is_an_error(number: float, monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.zeros((4, 4096), np.float32)
    table[1, 17] = number
    reading = reading_of(monkeypatch, table)
    assert len(predict(reading, "0", 1).places) == 1
    with pytest.raises(AttnError) as raised:
        predict(reading, "1", 1)
    assert raised.value.problem == f"not a finite number in the logits of storybook at token 1: {number}"


def test_rows_are_asked_for_in_blocks_of_limited_size(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    own = Given.logits

    def counted(given: Given, rows: Sequence[int]) -> Any:
        asked.append(len(rows))
        return own(given, rows)

    monkeypatch.setattr(Given, "logits", counted)
    reading = reading_of(monkeypatch, np.zeros((4, 4096)))
    whole = predict(reading, None, 2).places
    monkeypatch.setattr(predictions, "_BLOCK", 2 * 4096)
    assert predict(reading, None, 2).places == whole
    assert asked == [4, 2, 2]


def test_a_block_of_logits_takes_128_mb() -> None:
    assert predictions._BLOCK * 4 == 128 << 20  # noqa: SLF001  a threshold


def test_too_many_tokens_are_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> NoReturn:
        raise AssertionError

    reading = reading_of(monkeypatch, np.zeros((4, 40)))
    monkeypatch.setattr(Given, "logits", never)
    with pytest.raises(UsageError) as raised:
        predict(reading, None, 41)
    assert raised.value.problem == "--predict 41 is more than the vocabulary of storybook: 40 tokens"


def test_what_does_not_fit_into_memory_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = reading_of(monkeypatch, np.zeros((400, 4096)), "the cat sat " * 100)
    assert len(reading.tokens) > 128
    monkeypatch.setattr("attn_cli.models.free_memory.free_bytes", lambda _device: 250 << 20)
    with pytest.raises(AttnError) as raised:
        predict(reading, None, 1)
    assert raised.value.problem.startswith("not enough memory: this needs about 0.3 GB (weights 0.0, ")
    assert raised.value.hint == "--rows -1, or a shorter text"
    assert len(predict(reading, "-1", 1).places) == 1  # one row of logits fits


@pytest.mark.parametrize(("count", "is_refused"), [(128, False), (129, True)])
def test_a_block_of_logits_counts_for_long_texts_only(
    count: int, monkeypatch: pytest.MonkeyPatch, *, is_refused: bool
) -> None:
    reading = reading_of(monkeypatch, np.zeros((200, 4096)), "the cat sat " * 100)
    texts = replace(reading.texts, tokens=reading.tokens[:count])
    monkeypatch.setattr("attn_cli.models.free_memory.free_bytes", lambda _device: 250 << 20)
    if is_refused:
        with pytest.raises(AttnError, match="not enough memory"):
            predict(replace(reading, texts=texts), None, 1)
    else:
        assert len(predict(replace(reading, texts=texts), None, 1).places) == count
