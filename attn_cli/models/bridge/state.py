"""The weights of a model where transformers cannot read its files: behind a wrapper, or with an adapter."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.files.lora import adapted
from attn_cli.models.files.weights import Weights


def adapted_weights(files: Weights, adapter: Path, sketch: Any) -> Weights:
    """The weights of the files with the adapter merged; `sketch` is the model without weights.

    Raises:
        AttnError: the adapter cannot be merged, or belongs to another model.
    """
    turned = {name for name, module in sketch.named_modules() if type(module).__name__ == "Conv1D"}

    def is_transposed(module: str) -> bool:
        return any(module == name or module.endswith(f".{name}") for name in turned)

    return adapted(unwrapped_weights(files, sketch), adapter, is_transposed=is_transposed)


def unwrapped_weights(files: Weights, sketch: Any) -> Weights:
    """The weights of the files, with the prefix of a wrapper if every layer's tensors are behind it.

    transformers itself finds a model inside a model with a head (`bert.` before the names), so that prefix
    is not a wrapper's.
    """
    parameters = [name for name, parameter in sketch.named_parameters() if parameter.requires_grad]
    wrapper = _wrapper(parameters, files.tensors, getattr(sketch, "base_model_prefix", ""))
    return replace(files, wrapper=wrapper)


def check_layers(weights: Weights, sketch: Any) -> None:
    """Check that the file has the last layer of each list whose first layer it has.

    Raises:
        AttnError: it does not.
    """
    for name, part in sketch.named_modules():
        if type(part).__name__ != "ModuleList" or not _has_own_parameters(part):
            continue
        first, last = (f"{name}.{number}." for number in (0, len(part) - 1))
        stored = [f".{key}" for key in weights.tensors]
        if any(f".{first}" in key for key in stored) and not any(f".{last}" in key for key in stored):
            problem = f"layer {last.removesuffix('.')} is missing from {weights.directory}"
            raise AttnError(problem, "check that config.json and the weights belong to the same model")


def _has_own_parameters(layers: Any) -> bool:
    """Whether the last of the layers has parameters that none before it has."""
    before = {id(parameter) for layer in list(layers)[:-1] for parameter in layer.parameters()}
    return any(id(parameter) not in before for layer in list(layers)[-1:] for parameter in layer.parameters())


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
