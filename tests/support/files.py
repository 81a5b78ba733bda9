"""Files for tests: empty ones by name, and the tensors of one, which can then be written anew."""

from pathlib import Path

import torch
from safetensors.torch import load_file


def holding(directory: Path, *names: str) -> Path:
    """The directory, with empty files of these names."""
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    return directory


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """Copies of the tensors in a safetensors file, whose own tensors are mapped."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}
