"""Where a run stands: weights and moments in one file, written whole, without a pickle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from attn_cli.errors import AttnError
from attn_cli.training.network import Network

_FILE = "state.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a run has come."""

    step: int = 0
    seconds: float = 0.0  # of training, pauses left out


def save(directory: Path, network: Network, optimizer: torch.optim.AdamW, mark: Mark) -> None:
    """Write the state under a temporary name, then give it its own in one step."""
    tensors = {f"weights.{name}": tensor.detach() for name, tensor in network.parameters.tensors.items()}
    for name, tensor in network.parameters.tensors.items():
        for moment in _MOMENTS:
            if tensor in optimizer.state:
                tensors[f"{moment}.{name}"] = optimizer.state[tensor][moment]
    temporary = directory / f".{_FILE}.part"
    metadata = {"mark": json.dumps({"step": mark.step, "seconds": mark.seconds})}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
    temporary.replace(directory / _FILE)


def load(directory: Path, network: Network, optimizer: torch.optim.AdamW) -> Mark:
    """Put the saved numbers where they were; a run that saved nothing yet stands at its beginning.

    Raises:
        AttnError: the file is damaged.
    """
    path = directory / _FILE
    if not path.exists():
        return Mark()
    try:
        with safe_open(path, "pt") as file:
            mark: dict[str, Any] = json.loads(file.metadata()["mark"])
            for name, tensor in network.parameters.tensors.items():
                tensor.data.copy_(file.get_tensor(f"weights.{name}"))
                if mark["step"] and tensor.requires_grad:
                    moments = {
                        each: file.get_tensor(f"{each}.{name}").to(network.device) for each in _MOMENTS
                    }
                    steps = torch.tensor(float(mark["step"]), device=network.device)
                    optimizer.state[tensor] = {"step": steps, **moments}
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        problem = f"the state of the run cannot be read: {path}: {error}"
        raise AttnError(problem, "--force to begin anew") from error
    return Mark(mark["step"], mark["seconds"])
