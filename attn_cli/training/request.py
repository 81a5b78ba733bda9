"""What a model is to be trained on, and how."""

from pathlib import Path

from attn_cli.record import record
from attn_cli.training.recipe import Recipe
from attn_cli.vocabulary import DType


@record(frozen=True, slots=True)
class TrainingRequest:
    """The files that a model learns from, one that it does not, and the recipe."""

    files: tuple[Path, ...]
    held_out: Path | None  # None: the end of the files is held out
    recipe: Recipe
    store: DType = DType.FLOAT32  # of the weights in the model's file
