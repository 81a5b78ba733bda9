"""LoRA adapters in PEFT's format, and their bases with the adapter merged by the published formula."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

Numbers = npt.NDArray[np.float32]
Arrays = Mapping[str, Numbers]
RANK, ALPHA = 4, 8.0


def draw(*shape: int, seed: int = 0) -> Numbers:
    """Random numbers that change the attention of a twin by more than any tolerance."""
    return (0.3 * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


def pair(outputs: int, inputs: int, rank: int = RANK) -> tuple[Numbers, Numbers]:
    """A (r, in) and B (out, r)."""
    return draw(rank, inputs, seed=1), draw(outputs, rank, seed=2)


def low_rank(module: str, a: Numbers, b: Numbers) -> dict[str, Numbers]:
    """The two tensors of a module, as PEFT names them."""
    at = f"base_model.model.{module}"
    return {f"{at}.lora_A.weight": a, f"{at}.lora_B.weight": b}


def save_adapter(directory: Path, base: Path | str | None, tensors: Arrays, **config: Any) -> Path:
    """An adapter with these tensors, as `save_pretrained` of PEFT writes it."""
    directory.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base if base is None else str(base),
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": None,
        "bias": "none",
        "init_lora_weights": True,
        "lora_dropout": 0.0,
        "megatron_core": "megatron.core",
        "loftq_config": {},
        "qalora_group_size": 16,
        "use_dora": False,
    }
    (directory / "adapter_config.json").write_text(json.dumps(settings | config))
    safetensors.numpy.save_file(dict(tensors), directory / "adapter_model.safetensors")
    return directory


def save_changed(base: Path, directory: Path, changes: Arrays) -> Path:
    """A copy of the base in which some tensors have other numbers."""
    shutil.copytree(base, directory)
    tensors = safetensors.numpy.load_file(base / "model.safetensors")
    assert set(changes) <= set(tensors), "each of them is in the base"
    safetensors.numpy.save_file(tensors | dict(changes), directory / "model.safetensors", {"format": "pt"})
    return directory


def tensor(base: Path, name: str) -> Numbers:
    """A tensor of the base."""
    return safetensors.numpy.load_file(base / "model.safetensors")[name]
