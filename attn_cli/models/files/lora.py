"""Merges a LoRA adapter into the weights of its base: W + s B A, computed when a tensor is read.

PEFT computes the same in `merge_and_unload`. DoRA scales the rows of the sum to the lengths it learned
(Liu et al. 2024, arXiv:2402.09353): m (W + s B A) / ‖W + s B A‖, with the norm of each output.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from attn_cli.errors import AttnError
from attn_cli.models.files.adapter import LEAVE_OUT, Adapter, LowRank, read_adapter
from attn_cli.models.files.tensors import FloatArray, Tensor
from attn_cli.models.files.weights import Weights

_TOGETHER = f"check base_model_name_or_path in its adapter_config.json, or: {LEAVE_OUT}"


def adapted(weights: Weights, directory: Path, *, is_transposed: Callable[[str], bool]) -> Weights:
    """The weights of the base with the adapter in `directory` merged.

    `is_transposed` says of a module whether its weight is stored as (in, out), as in GPT-2's Conv1D.

    Raises:
        AttnError: the adapter cannot be merged, or belongs to another model.
    """
    adapter = read_adapter(directory)
    merged = merge_adapter(weights.tensors, adapter, is_transposed=is_transposed)
    count = len(adapter.left_out)
    modules = f"{count} module{'s' if count > 1 else ''} of the adapter"
    notes = [f"left out: {modules} that target_modules does not name: {adapter.left_out[0]}"] if count else []
    what = f"the {adapter.kind} adapter in {directory}"
    return replace(weights, tensors=merged, adapter=what, notes=tuple(notes))


def embedded_tokens(directory: Path, name: str) -> int | None:
    """The number of rows of the token embeddings `name` that the adapter holds; None if it holds none."""
    try:
        whole = read_adapter(directory).whole
    except AttnError:  # reported when its weights are read; `attn tokens` does not need them
        return None
    stored = next((tensor for key, tensor in whole.items() if key.endswith(f"{name}.weight")), None)
    return None if stored is None or not stored.shape else stored.shape[0]


_IN_MODEL = re.compile(r"\.\d+\.|embed|wte|wpe|word")
"""Numbered layers and embeddings, but not heads, which a file of the base may lack."""

_OLDER = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def merge_adapter(
    tensors: Mapping[str, Tensor], adapter: Adapter, *, is_transposed: Callable[[str], bool]
) -> dict[str, Tensor]:
    """The tensors of the base with the adapter merged; nothing is read yet.

    `is_transposed` says of a module whether its weight is stored as (in, out), as in GPT-2's Conv1D.

    Raises:
        AttnError: the adapter belongs to another model.
    """
    merged, places = dict(tensors), _places(tensors, adapter)
    for name, tensor in adapter.whole.items():
        if name in places:
            merged[places[name]] = tensor
    for module, change in adapter.modules.items():
        place = places.get(f"{module}.weight")
        if place is None:
            continue
        is_turned = not change.is_embedding and is_transposed(module)
        merged[place] = _with_change(merged[place], change, adapter, place, is_turned=is_turned)
        bias = places.get(f"{module}.bias")
        if change.bias is not None and bias is not None:
            merged[bias] = _with_bias(merged[bias], change.bias, change.scale, adapter)
    return merged


def _places(tensors: Mapping[str, Tensor], adapter: Adapter) -> dict[str, str]:
    """The names in the base's file of the tensors that the adapter changes, by their names in the adapter.

    The file may have a prefix that the adapter's names lack (`model.`), or lack one that they have: the same
    for all of them.

    Raises:
        AttnError: a tensor has no place in the base.
    """
    wanted = [*(f"{module}.weight" for module in adapter.modules), *adapter.whole]
    wanted += [f"{module}.bias" for module, change in adapter.modules.items() if change.bias is not None]
    if shared := next((name for name in wanted if re.search(r"(^|\.)shared\.", name)), None):
        problem = f"the adapter {adapter.directory} changes {shared}, which encoder and decoder share"
        raise AttnError(problem, LEAVE_OUT)
    found = [_found(tensors, wanted, way) for way in _ways(tensors, wanted)]
    places = max(found, key=len)
    lacking = next((name for name in wanted if name not in places and _IN_MODEL.search(name)), None)
    if lacking is not None:
        problem = f"the adapter {adapter.directory} does not fit its base, which has no tensor {lacking}"
        raise AttnError(problem, _TOGETHER)
    return places


def _found(tensors: Mapping[str, Tensor], wanted: Iterable[str], way: tuple[str, str]) -> dict[str, str]:
    """The places that the base's file has, with one prefix removed and another added."""
    removed, added = way
    places: dict[str, str] = {}
    for name in wanted:
        renamed = added + name.removeprefix(removed) if name.startswith(removed) else name
        older = next((renamed.replace(new, old) for new, old in _OLDER.items() if new in renamed), renamed)
        place = next((place for place in (renamed, older) if place in tensors), None)
        if place is not None:
            places[name] = place
    return places


def _ways(tensors: Iterable[str], wanted: Iterable[str]) -> list[tuple[str, str]]:
    """Prefixes to remove and to add so that a tensor of the layers is found, no change first."""
    first = next((name for name in wanted if _IN_MODEL.search(name)), None)
    ways = {("", "")}
    for name in tensors if first is not None else ():
        if name.endswith(f".{first}"):
            ways.add(("", name.removesuffix(str(first))))
        elif str(first).endswith(f".{name}"):
            ways.add((str(first).removesuffix(name), ""))
    return sorted(ways, key=lambda way: (len(way[0]) + len(way[1]), way))


def _with_change(base: Tensor, change: LowRank, adapter: Adapter, name: str, *, is_turned: bool) -> Tensor:
    """The base's tensor plus the change, computed for the rows that are read.

    Raises:
        AttnError: their shapes differ, or the adapter's numbers cannot be read.
    """
    shape = (change.up.shape[0], change.down.shape[1])
    if change.is_embedding or is_turned:
        shape = shape[::-1]
    if base.shape != shape:
        problem = f"the adapter {adapter.directory} does not fit its base: {name} has the shape {base.shape}"
        raise AttnError(f"{problem}, and the change {shape}", _TOGETHER)
    if change.magnitude is not None and change.magnitude.shape != (change.up.shape[0],):
        shapes = f"{change.magnitude.shape} magnitudes, and {change.up.shape[0]} outputs"
        raise AttnError(f"the adapter {adapter.directory} has {shapes}: {name}", LEAVE_OUT)
    operands = (change.down, change.up, change.magnitude, change.bias)
    unread = next((each for each in operands if each is not None and each.numbers is None), None)
    if unread is not None:
        problem = f"{unread.path} has matrices of an unsupported type: {unread.dtype}"
        raise AttnError(problem, LEAVE_OUT)
    if base.numbers is None:
        return base
    is_turned = is_turned or change.is_embedding
    numbers = partial(_changed, base.numbers, change, is_turned=is_turned)
    return Tensor(base.path, base.dtype, base.shape, numbers)


def _changed(
    read: Callable[[Sequence[int] | None], FloatArray],
    change: LowRank,
    rows: Sequence[int] | None,
    *,
    is_turned: bool,
) -> FloatArray:
    """The given rows of W + s B A, or all of them; of its transpose, if W is stored as (in, out)."""
    down, up = _read(change.down, None), _read(change.up, None)
    left, right = (down.T, up.T) if is_turned else (up, down)
    if change.magnitude is None:
        part = left if rows is None else left[list(rows)]
        return _sum(read(rows), change.scale, part, right)
    whole = _sum(read(None), change.scale, left, right)
    outputs = 1 if is_turned else 0  # the axis of the outputs, which have one length each
    lengths = np.linalg.norm(whole, axis=1 - outputs, keepdims=True)
    learned = _read(change.magnitude, None).reshape(lengths.shape)
    scaled: FloatArray = whole * (learned / lengths)
    return scaled if rows is None else scaled[list(rows)]


def _sum(base: FloatArray, scale: float, left: FloatArray, right: FloatArray) -> FloatArray:
    """The base plus the scaled product, in the base's format: float32, or float64."""
    product = (left.astype(base.dtype) @ right.astype(base.dtype)) * base.dtype.type(scale)
    return base + product


def _with_bias(base: Tensor, added: Tensor, scale: float, adapter: Adapter) -> Tensor:
    """The base's bias plus the scaled bias of B.

    Raises:
        AttnError: their shapes differ.
    """
    read = base.numbers
    if base.shape != added.shape:
        shapes = f"a bias has the shape {base.shape}, and the change {added.shape}"
        raise AttnError(f"the adapter {adapter.directory} does not fit its base: {shapes}", _TOGETHER)
    if read is None:
        return base

    def numbers(rows: Sequence[int] | None) -> FloatArray:
        whole = read(None)
        summed: FloatArray = whole + _read(added, None).astype(whole.dtype) * whole.dtype.type(scale)
        return summed if rows is None else summed[list(rows)]

    return Tensor(base.path, base.dtype, base.shape, numbers)


def _read(tensor: Tensor, rows: Sequence[int] | None) -> FloatArray:
    assert tensor.numbers is not None, "checked when the adapter is merged"
    return tensor.numbers(rows)
