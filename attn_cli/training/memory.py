"""Estimates the memory of a training run, before anything is allocated."""

from attn_cli.errors import AttnError
from attn_cli.models.free_memory import free_bytes
from attn_cli.training.recipe import Recipe

_FLOAT = 4  # bytes
_COPIES = 4  # of each weight: itself, its gradient, and two moments of the optimizer
_OF_A_LAYER = 12  # times M²: 4 for attention, 8 for feed-forward (arXiv:2001.08361, table 1)
_LOGITS = 3  # copies of a row's logits: themselves, their probabilities, and the gradient
_ID = 8  # bytes
_ROOM = 0.9  # of the free memory: other processes need some too


def least_memory(recipe: Recipe) -> float:
    """A lower bound of the memory in bytes: the weights, one row's logits, and the ids of a step."""
    width, vocabulary = recipe.width, recipe.vocabulary
    weights = width * (vocabulary + recipe.context) + recipe.layers * _OF_A_LAYER * width**2
    _, shortest = recipe.rows_at(0.0)
    logits = _LOGITS * vocabulary * shortest
    return _FLOAT * (_COPIES * weights + logits) + _ID * recipe.batch * recipe.context


def check_fits(recipe: Recipe, device: str) -> None:
    """Check that a run of the recipe fits into free memory.

    Raises:
        AttnError: it does not.
    """
    needed, free = least_memory(recipe), free_bytes(device)
    if free is not None and needed > _ROOM * free:
        sizes = f"this run needs at least {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise AttnError(
            f"not enough memory: {sizes}", "a smaller --width, --vocabulary, --batch or --context"
        )
