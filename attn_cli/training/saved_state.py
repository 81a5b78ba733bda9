"""The saved state of a run: weights and optimizer moments in one file, without a pickle."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import checked_path
from attn_cli.record import record
from attn_cli.training.atomic_write import written_atomically
from attn_cli.training.network import Network
from attn_cli.training.optimizer.muon import MuonAdamW

_MOST = 1 << 53  # tokens and seconds: a float holds every integer up to here
_FILE = "state.safetensors"


@record(frozen=True, slots=True)
class RunPosition:
    """The position of a run."""

    step: int = 0
    seconds: float = 0.0  # of training, without pauses
    tokens: int = 0  # trained on, counted again in every epoch


def save(directory: Path, network: Network, optimizer: MuonAdamW, mark: RunPosition) -> None:
    """Save the weights, the moments of the optimizer and the position of the run, atomically.

    Raises:
        AttnError: the file cannot be written.
    """
    tensors = {f"weights.{name}": tensor.detach() for name, tensor in network.parameters.tensors.items()}
    for name, tensor in network.parameters.tensors.items():
        for moment in optimizer.moments_of(tensor) if tensor in optimizer.state else ():
            tensors[f"{moment}.{name}"] = optimizer.state[tensor][moment]
    metadata = {"mark": json.dumps(asdict(mark))}
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        with written_atomically(directory / _FILE) as temporary:
            save_file(whole, temporary, metadata)
    except SafetensorError as error:
        problem = f"the state of the run cannot be written to {directory}: {error}"
        raise AttnError(problem, "free some disk space, then --resume") from error


def load(directory: Path, network: Network, optimizer: MuonAdamW) -> RunPosition:
    """Restore the saved state and return its position; without a saved state, the run is at its beginning.

    Raises:
        AttnError: the file is damaged.
    """
    path = checked_path(directory, _FILE)
    if not path.exists():
        return RunPosition()
    try:
        with safe_open(path, "pt") as file:
            mark = _position(json.loads(file.metadata()["mark"]))
            for name, tensor in network.parameters.tensors.items():
                tensor.data.copy_(_shaped(file.get_tensor(f"weights.{name}"), tensor, name))
                if mark.step and tensor.requires_grad:
                    moments = {
                        moment: _shaped(file.get_tensor(f"{moment}.{name}"), tensor, f"{moment}.{name}")
                        for moment in optimizer.moments_of(tensor)
                    }
                    optimizer.state[tensor] = _optimizer_state(mark.step, moments, network.device)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, RecursionError) as error:
        problem = f"the state of the run cannot be read: {path}: {error}"
        raise AttnError(problem, "--force to start over") from error
    return mark


def _position(values: Mapping[str, float]) -> RunPosition:
    """The position, if a run can have it: JSON may say anything.

    Raises:
        ValueError: it cannot.
        TypeError: a field is missing or unknown, or not a number.
    """
    mark = RunPosition(**values)  # type: ignore[arg-type]
    are_numbers = type(mark.step) is type(mark.tokens) is int and isinstance(mark.seconds, int | float)
    if not are_numbers or not 0 <= mark.step <= mark.tokens < _MOST or not 0 <= mark.seconds < _MOST:
        raise ValueError(f"its position is {str(values)[:80]}")
    return mark


def _optimizer_state(step: int, moments: Mapping[str, torch.Tensor], device: str) -> dict[str, torch.Tensor]:
    """The optimizer's state for one tensor after `step` steps."""
    steps = torch.tensor(float(step), device=device)
    return {"step": steps} | {name: moment.clone().to(device) for name, moment in moments.items()}


def _shaped(saved: torch.Tensor, like: torch.Tensor, name: str) -> torch.Tensor:
    """`saved`, after checking its shape: PyTorch would broadcast a smaller tensor."""
    if saved.shape != like.shape:
        raise ValueError(f"{name} has the shape {tuple(saved.shape)}, not {tuple(like.shape)}")
    return saved
