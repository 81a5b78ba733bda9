"""What a model expects at one place of a text."""

from attn_cli.record import record


@record(frozen=True, slots=True)
class Prediction:
    """One token of the vocabulary as the model expects it."""

    id: int
    text: str  # empty if the tokenizer has none for it
    logit: float
    probability: float
    rank: int  # 1 is the likeliest; tokens with equal logits share it
    is_actual: bool  # whether it is the token that stands there


@record(frozen=True, slots=True)
class PlacePredictions:
    """The likeliest tokens at one place, and the token that stands there."""

    position: int  # of the token whose row predicts
    predicts: int  # the position that is predicted: the next one, or in a masked model the same
    likeliest: tuple[Prediction, ...]
    actual: Prediction | None  # None: the text ends there, or a masked token stands there
