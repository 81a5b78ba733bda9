"""What a model expects at the places of a text: the likeliest tokens, and the one that stands there."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from attn_cli.answers.prediction import PlacePredictions, Prediction
from attn_cli.core.arrays import Exact, Floats
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.predictions import Predictor
from attn_cli.models.source import Texts
from attn_cli.models.tokens.token import Token
from attn_cli.reading.document import describe_reading
from attn_cli.reading.memory import check_run_fits
from attn_cli.reading.reading import Reading
from attn_cli.record import record
from attn_cli.vocabulary import Kind

_BLOCK = 1 << 25  # logits in memory at once: 128 MB
_FEW = 128  # rows: fewer fill no block, unless the vocabulary has more than 262,144 tokens
_COPIES = 2  # of a block: its parts, and the whole
_DIGITS = 8  # of a probability: a float32 has fewer


@record(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model expects at R places of a text."""

    reading: Reading  # an encoder-decoder model predicts the decoder's tokens
    predictor: Predictor
    places: tuple[PlacePredictions, ...]

    @property
    def is_next(self) -> bool:
        """Whether the next token is predicted, and not the one in its place."""
        return self.predictor.is_next

    def logits(self) -> Floats:
        """(R, V) the logits of all tokens at each place.

        Raises:
            AttnError: they do not fit into memory.
        """
        rows = [place.position for place in self.places]
        check_run_fits(self.reading, len(rows) * self.predictor.vocabulary * _COPIES, "fewer rows")
        return self.predictor.logits(rows)


def predict(reading: Reading, rows: str | None, count: int) -> Predictions:
    """The `count` likeliest tokens at the chosen rows: by default all, in a masked model its masked tokens.

    Raises:
        AttnError: the model has no language head that is known, or a logit is not a number.
        UsageError: the vocabulary has fewer tokens, or the rows are malformed or out of range.
    """
    reading = of_decoder(reading)
    is_long = rows is None and len(reading.queries) > _FEW
    check_run_fits(reading, _BLOCK * _COPIES if is_long else 0, "--rows -1, or a shorter text")
    predictor = reading.source.predictor(reading.texts)
    positions = _positions(reading, predictor, rows)
    if count > predictor.vocabulary:
        size = predictor.vocabulary
        problem = (
            f"--predict {count} is more than the vocabulary of {reading.source.card.name}: {size:,} tokens"
        )
        raise UsageError(problem, f"--predict {size}")
    places = tuple(_places(reading, predictor, positions, count))
    return Predictions(reading, predictor, places)


def predicted_token(reading: Reading, predictor: Predictor, position: int, token: int | None) -> Prediction:
    """What the model expects at one position: the token with this id, or the likeliest.

    Raises:
        AttnError: a logit is not a number.
    """
    (logits,) = predictor.logits([position])
    check_logits(reading, position, logits)
    expected = PlaceLogits(reading, position + predictor.is_next, logits)
    return expected.prediction(int(logits.argmax()) if token is None else token)


def of_decoder(reading: Reading) -> Reading:
    """The reading with the kind of attention whose queries predict; no text for a decoder is an empty one."""
    if not reading.source.has_decoder:
        return reading
    if reading.request.target is None:
        request = replace(reading.request, target="")
        texts = Texts(reading.tokens, reading.source.target_tokens(""))
        reading = replace(reading, request=request, texts=texts)
    return replace(reading, kind=Kind.DECODER)


def _positions(reading: Reading, predictor: Predictor, rows: str | None) -> Sequence[int]:
    """The rows that predict.

    Raises:
        UsageError: none is chosen, and the text has no masked token; or the choice is malformed.
    """
    if rows is not None:
        from attn_cli.reading.token_selection.select import select_tokens

        return select_tokens(rows, reading.query_side, "row")
    if predictor.is_next:
        return range(len(reading.queries))
    return masked_positions(reading, "--rows TOKENS")


def masked_positions(reading: Reading, otherwise: str) -> list[int]:
    """The masked tokens of the text; `otherwise` is what else can be typed.

    Raises:
        UsageError: there is none.
    """
    masks = reading.source.mask_pieces
    masked = [token.position for token in reading.queries if token.piece in masks]
    if not masked:
        raise _no_mask(reading.source.card.name, masks, otherwise)
    return masked


def _no_mask(name: str, masks: Collection[str], otherwise: str) -> UsageError:
    """The error for a text without a masked token."""
    if not masks:
        problem = f"the text has no masked token, and the tokenizer of {name} names none"
        return UsageError(problem, otherwise)
    mask = min(masks)
    problem = f"the text has no masked token: {name} predicts what stands at {mask}"
    return UsageError(problem, f"{mask} in place of a word, or {otherwise}")


def _places(
    reading: Reading, predictor: Predictor, positions: Sequence[int], count: int
) -> Iterator[PlacePredictions]:
    """The predictions at these positions; logits are computed in blocks of rows."""
    step = max(1, _BLOCK // predictor.vocabulary)
    for start in range(0, len(positions), step):
        block = positions[start : start + step]
        for position, logits in zip(block, predictor.logits(block), strict=True):
            check_logits(reading, position, logits)
            predicts = position + 1 if predictor.is_next else position
            yield _place(reading, position, predicts, logits, count)


def check_logits(reading: Reading, position: int, logits: Floats) -> None:
    """Raise `AttnError` for a logit that is not a number, or is positive infinity."""
    odd = logits[np.isnan(logits) | (logits == np.inf)]
    if odd.size:
        place = f"the logits of {reading.source.card.name} at token {position}"
        raise AttnError(f"not a finite number in {place}: {odd[0]}", "--dtype float32 or float64")


def _place(reading: Reading, position: int, predicts: int, logits: Floats, count: int) -> PlacePredictions:
    """The predictions at one place, from its logits (V,)."""
    expected = PlaceLogits(reading, predicts, logits)
    likeliest = tuple(expected.prediction(index) for index in largest(logits, count))
    actual = expected.actual
    return PlacePredictions(
        position, predicts, likeliest, None if actual is None else expected.prediction(actual.id)
    )


class PlaceLogits:
    """The logits (V,) of the token at one position, `predicts`."""

    def __init__(self, reading: Reading, predicts: int, logits: Floats) -> None:
        self._reading, self._logits = reading, logits
        self._log_probabilities = log_softmax(logits)
        self.actual = _actual(reading, predicts)

    def prediction(self, index: int) -> Prediction:
        """What the model expects of the token with this id."""
        logits, log_probabilities = self._logits, self._log_probabilities
        return Prediction(
            id=index,
            text=self._reading.source.token_text(index, self._reading.kind),
            logit=float(str(logits[index])),
            probability=float(f"{np.exp(log_probabilities[index]):.{_DIGITS}g}"),
            rank=1 + int((logits > logits[index]).sum()),
            is_actual=self.actual is not None and index == self.actual.id,
        )


def _actual(reading: Reading, predicts: int) -> Token | None:
    """The token that stands where one is predicted; None if the text ends there, or it is masked."""
    token = reading.queries[predicts] if predicts < len(reading.queries) else None
    return None if token is None or token.piece in reading.source.mask_pieces else token


def log_softmax(logits: Floats) -> Exact:
    """(V,) the logarithms of the softmax."""
    shifted: Exact = logits.astype(np.float64) - logits.max()
    found: Exact = shifted - np.log(np.exp(shifted).sum())
    return found


def largest(logits: Floats, count: int) -> list[int]:
    """The ids of the `count` largest logits (V,), the largest first; equal ones in the order of their ids."""
    least = np.partition(logits, -count)[-count]
    candidates = np.flatnonzero(logits >= least)
    order = np.argsort(-logits[candidates], kind="stable")[:count]
    return [int(index) for index in candidates[order]]


def describe_predictions(predictions: Predictions) -> dict[str, object]:
    """The reading, and an entry for each likely token of each place, and for the one that stands there."""
    entries = [
        _prediction(place, each)
        for place in predictions.places
        for each in (*place.likeliest, *_beyond(place))
    ]
    return {**describe_reading(predictions.reading), "predictions": entries}


def _beyond(place: PlacePredictions) -> tuple[Prediction, ...]:
    """The token that stands there, if it is not among the likeliest."""
    if place.actual is None or any(each.is_actual for each in place.likeliest):
        return ()
    return (place.actual,)


def _prediction(place: PlacePredictions, prediction: Prediction) -> dict[str, object]:
    return {
        "position": place.position,
        "predicts": place.predicts,
        "rank": prediction.rank,
        "id": prediction.id,
        "text": prediction.text,
        "logit": prediction.logit if isfinite(prediction.logit) else None,
        "probability": prediction.probability,
        "actual": prediction.is_actual,
    }
