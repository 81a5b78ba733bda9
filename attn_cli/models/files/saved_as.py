"""What a checkpoint was saved as: a language model, or another whose embeddings are no language head."""

from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.files.config import read_config

_TRANSFORMER = "modules.json"  # lists the modules of a model of sentence-transformers
_HEADS = ("LMHeadModel", "ForCausalLM", "ForMaskedLM", "ForConditionalGeneration", "ForPreTraining")
"""How the names of classes with a language head end."""

_HINT = "a model saved with its language head, such as GPT2LMHeadModel or BertForMaskedLM"


def no_head(name: str, reason: str, hint: str = _HINT) -> AttnError:
    """The error for a model that predicts no tokens, or whose files do not say how."""
    return AttnError(f"{name} has no language head that is known: {reason}", hint)


def check_tied_head(name: str, place: Path, adapter: Path | None, *heads: str) -> None:
    """Check that the embeddings of the model at `place` are its head too, as the files have no other.

    `adapter` is merged into it; `heads` are further classes with a language head.

    Raises:
        AttnError: it was saved as a model that embeds sentences, or that has the head of another task; or
            the adapter changes the embeddings.
    """
    directories = (place, place.parent) if place.is_dir() else ()
    if any((directory / _TRANSFORMER).exists() for directory in directories):
        raise no_head(name, f"it was saved as a model that embeds sentences ({_TRANSFORMER})")
    task = _task(place, (*_HEADS, *heads)) if place.is_dir() else None
    if task is not None:
        raise no_head(name, f"it was saved as {task}, which predicts no tokens")
    if adapter is not None:
        _check_adapter(name, adapter)


def _check_adapter(name: str, adapter: Path) -> None:
    """Check that the adapter leaves the embeddings and the head alone: PEFT may part the two.

    Raises:
        AttnError: it does not.
    """
    from attn_cli.models.files.adapter import read_adapter  # only adapters need it

    read = read_adapter(adapter)
    changed = (*read.modules, *(tensor.rpartition(".")[0] for tensor in read.whole))
    of_tokens = next((module for module in changed if not _is_apart(module)), None)
    if of_tokens is not None:
        problem = f"the adapter {adapter} changes {of_tokens}, and the head is tied to the embeddings"
        raise no_head(name, problem)


def _is_apart(module: str) -> bool:
    """Whether it is a module of a numbered layer, or a norm."""
    return "norm" in module or any(part.isdecimal() for part in module.split("."))


def _task(directory: Path, heads: tuple[str, ...]) -> str | None:
    """The class of another task that the model was saved from; None if it is that of a language model."""
    listed = read_config(directory).values.get("architectures")
    names = list(map(str, listed)) if isinstance(listed, list) else []
    others = [each for each in names if "For" in each and not each.endswith(heads)]
    return others[0] if others and len(others) == len(names) else None
