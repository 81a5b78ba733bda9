"""The weights of a model where transformers cannot read its files: behind a wrapper, or with an adapter."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.files.lora import adapted
from attn_cli.models.files.weights import Weights, open_weights


def adapted_weights(directory: Path, adapter: Path, sketch: Any) -> Weights:
    """The weights in `directory` with the adapter merged; `sketch` is the model without weights.

    Raises:
        AttnError: the adapter cannot be merged, or belongs to another model.
    """
    turned = {name for name, module in sketch.named_modules() if type(module).__name__ == "Conv1D"}

    def is_transposed(module: str) -> bool:
        return any(module == name or module.endswith(f".{name}") for name in turned)

    return adapted(unwrapped_weights(directory, sketch), adapter, is_transposed=is_transposed)


def unwrapped_weights(directory: Path, sketch: Any) -> Weights:
    """The weights in `directory`, with the prefix of a wrapper if every layer's tensors are behind it.

    transformers itself finds a model inside a model with a head (`bert.` before the names), so that prefix
    is not a wrapper's.

    Raises:
        AttnError: they cannot be read.
    """
    try:
        weights = open_weights(directory)
    except AttnError:
        if not any(directory.glob("pytorch_model*.bin")) or any(directory.glob("model*.safetensors")):
            raise
        return Weights(directory, {})  # a pickle with more than tensors, which transformers may read safely
    parameters = [name for name, parameter in sketch.named_parameters() if parameter.requires_grad]
    wrapper = _wrapper(parameters, weights.tensors, getattr(sketch, "base_model_prefix", ""))
    return replace(weights, wrapper=wrapper)


def _wrapper(parameters: Collection[str], stored: Mapping[str, object], prefix: str) -> str:
    """What precedes the names of all parameters in the file; empty if transformers finds one of them."""
    if any(name in stored or f"{prefix}.{name}" in stored for name in parameters):
        return ""
    wrappers: set[str] | None = None
    for name in parameters:
        ends = [f".{prefix}.{name}", f".{name}"]
        found = {key.removesuffix(end) + "." for end in ends for key in stored if key.endswith(end)}
        wrappers = found if wrappers is None else wrappers & found
        if not wrappers:
            return ""
    return max(wrappers or {""}, key=len)
