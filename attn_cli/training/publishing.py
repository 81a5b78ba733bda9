"""Finishes a run: evaluates the model as it will be stored, and moves its files into place."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from attn_cli.errors import AttnError
from attn_cli.models.head_labels import FILE
from attn_cli.training import measure, model_card, tokenizer
from attn_cli.training.network import Network
from attn_cli.training.result import TrainingResult
from attn_cli.training.run import RECORD, Run
from attn_cli.training.saved_state import RunPosition

_CONFIG = "config.json"


def finish(run: Run, network: Network, mark: RunPosition) -> TrainingResult:
    """Evaluate the model, write it, and remove the files that only the run needed.

    Raises:
        AttnError: a weight does not fit the format of the file, or the disk is full.
    """
    network.round_to(run.order.store)
    if not network.is_finite:
        problem = f"a weight is too large for {run.order.store}"
        raise AttnError(problem, "--store float32 --force, or a smaller --rate")
    text = run.tokenizer.decode(run.held_out.tolist())
    outcome = TrainingResult(
        directory=run.directory,
        vocabulary=network.spec.vocabulary,
        parameters=network.size,
        mark=mark,
        surprise=measure.surprise(network, run.held_out, run.train, text),
        heads=tuple(measure.heads(network, run.held_out, run.order.recipe.seed)),
    )
    _publish(run, network, outcome)
    return outcome


def _publish(run: Run, network: Network, outcome: TrainingResult) -> None:
    """Move the model's complete files into place, `config.json` last; then remove the rest.

    Meanwhile there is no `config.json`, so a mixture of old and new files cannot be loaded as a model.
    """
    made = run.scratch / "model"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    _write_weights(made, run, network)
    (made / "tokenizer.json").write_text(run.tokenizer.to_str(pretty=True), encoding="utf-8")
    _write_json(made, "tokenizer_config.json", tokenizer.config(network.context))
    _write_json(made, FILE, outcome.as_json())
    (made / "README.md").write_text(model_card.text(run, outcome), encoding="utf-8")
    _write_json(made, _CONFIG, network.config)
    (run.directory / _CONFIG).unlink(missing_ok=True)
    for name in sorted((file.name for file in made.iterdir()), key=_CONFIG.__eq__):
        (made / name).replace(run.directory / name)
    (run.scratch / RECORD).unlink()  # first: without it the rest cannot be mistaken for a run
    shutil.rmtree(run.scratch)


def _write_weights(directory: Path, run: Run, network: Network) -> None:
    """Write `model.safetensors` with the same permissions as the run's other files.

    Raises:
        AttnError: it cannot be written.
    """
    path = directory / "model.safetensors"
    try:
        save_file(_stored(run, network), path, {"format": "pt"})
    except SafetensorError as error:
        problem = f"{directory} cannot be written: {error}"
        raise AttnError(problem, "free some disk space, then --resume") from error
    path.chmod(0o666 & ~_umask(run))  # safetensors makes it readable only by its owner


def _stored(run: Run, network: Network) -> dict[str, torch.Tensor]:
    """The weights by their names in transformers, in the format of the file."""
    dtype = getattr(torch, run.order.store.value)
    tensors = network.parameters.tensors
    return {
        f"transformer.{name}": tensor.detach().cpu().to(dtype).contiguous()
        for name, tensor in tensors.items()
    }


def _umask(run: Run) -> int:
    """The umask, inferred from a file's mode, since the system reveals it only when it is changed."""
    return 0o666 & ~(run.scratch / RECORD).stat().st_mode


def _write_json(directory: Path, name: str, value: dict[str, Any]) -> None:
    (directory / name).write_text(f"{json.dumps(value, indent=1, allow_nan=False)}\n", encoding="utf-8")
