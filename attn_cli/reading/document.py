"""The fields at the start of every JSON document: model, library, text and tokens."""

from dataclasses import asdict
from math import isfinite

from attn_cli import __version__
from attn_cli.answers.prediction import PlacePredictions, Prediction
from attn_cli.reading.predictions import Predictions
from attn_cli.reading.reading import Reading


def describe_reading(reading: Reading) -> dict[str, object]:
    """The model, the library and device, the text and its tokens, named as in the schema."""
    source, request = reading.source, reading.request
    return {
        "schema": 1,
        "attn": __version__,
        "model": asdict(source.card),
        "engine": source.engine,
        "library": source.backend.name,
        "device": source.backend.device,
        "dtype": source.backend.dtype.value,
        "text": request.text,
        "pair": request.pair,
        "tokens": [asdict(token) for token in reading.tokens],
        **_target(reading),
    }


def _target(reading: Reading) -> dict[str, object]:
    """The decoder's text and tokens; empty if there are none."""
    if not reading.texts.target:
        return {}
    tokens = [asdict(token) for token in reading.texts.target]
    return {"target": reading.request.target, "target_tokens": tokens}


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
