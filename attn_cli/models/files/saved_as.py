"""What a checkpoint was saved as: a language model, or another whose embeddings are no language head."""

from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.files.config import read_config

_TRANSFORMER = "modules.json"  # lists the modules of a model of sentence-transformers
_HEADS = ("LMHeadModel", "ForCausalLM", "ForMaskedLM", "ForConditionalGeneration", "ForPreTraining")
"""How the names of classes with a language head end."""

_HINT = "a model saved with its language head, such as GPT2LMHeadModel or BertForMaskedLM"


def no_head(name: str, reason: str) -> AttnError:
    """The error for a model that predicts no tokens, or whose files do not say how."""
    return AttnError(f"{name} has no language head that is known: {reason}", _HINT)


def check_saved_with_head(name: str, directory: Path, *heads: str) -> None:
    """Check that the model's embeddings are its language head too, if the files have no other.

    `heads` are further classes with a language head.

    Raises:
        AttnError: it was saved as a model that embeds sentences, or that has the head of another task.
    """
    if any((place / _TRANSFORMER).exists() for place in (directory, directory.parent)):
        raise no_head(name, f"it was saved as a model that embeds sentences ({_TRANSFORMER})")
    task = _task(directory, (*_HEADS, *heads))
    if task is not None:
        raise no_head(name, f"it was saved as {task}, which predicts no tokens")


def _task(directory: Path, heads: tuple[str, ...]) -> str | None:
    """The class of another task that the model was saved from; None if it is that of a language model."""
    listed = read_config(directory).values.get("architectures")
    names = list(map(str, listed)) if isinstance(listed, list) else []
    others = [each for each in names if "For" in each and not each.endswith(heads)]
    return others[0] if others and len(others) == len(names) else None
