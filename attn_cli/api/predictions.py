"""What a model expects at places of a text, from Python: records of tokens, and the logits of all of them."""

from collections.abc import Sequence
from typing import overload

from attn_cli.answers.prediction import PlacePredictions
from attn_cli.core.arrays import Floats
from attn_cli.models.tokens.token import Token
from attn_cli.reading.predictions import Predictions
from attn_cli.reading.steps import unwarned
from attn_cli.safe_text import printable


class ModelPredictions(Sequence[PlacePredictions]):
    """What a model expects at R places: the likeliest tokens of each, and the one that stands there."""

    def __init__(self, predictions: Predictions) -> None:
        self._predictions = predictions

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the text that predicts; `position` and `predicts` of a place count them."""
        return self._predictions.reading.queries

    @property
    def is_next(self) -> bool:
        """Whether the next token is predicted, and not the one in its place, as by masked models."""
        return self._predictions.is_next

    @unwarned
    def logits(self) -> Floats:
        """(R, V) the logits of all tokens of the vocabulary, as a new array.

        Raises:
            AttnError: they do not fit into memory.
        """
        return self._predictions.logits()

    @overload
    def __getitem__(self, index: int) -> PlacePredictions: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlacePredictions]: ...
    def __getitem__(self, index: int | slice) -> PlacePredictions | Sequence[PlacePredictions]:
        """One place, or some, in the order of the rows."""
        return self._predictions.places[index]

    def __len__(self) -> int:
        return len(self._predictions.places)

    def __repr__(self) -> str:
        what = "the next token" if self.is_next else "the token that stands there"
        name = printable(self._predictions.reading.source.card.name)
        places = "1 place" if len(self) == 1 else f"{len(self)} places"
        return f"<ModelPredictions of {name}: {what} at {places}>"
