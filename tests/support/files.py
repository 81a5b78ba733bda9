"""Tensors of a file, in memory: the file can then be written anew."""

from pathlib import Path

import torch
from safetensors.torch import load_file


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """Copies of the tensors in a safetensors file, whose own tensors are mapped."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}
