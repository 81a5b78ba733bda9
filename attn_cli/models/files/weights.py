"""The weights of a checkpoint by name: safetensors or pickles, in one file or in shards."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.config import read_config, read_json
from attn_cli.models.files.safe_paths import LARGEST_INDEX, checked_path, joined
from attn_cli.models.files.safetensors_file import read_safetensors
from attn_cli.models.files.tensors import RELOAD, FloatArray, Tensor
from attn_cli.record import record

_UNMERGED = tuple(f".lora_{side}{name}.weight" for side in "AB" for name in ("", ".default"))
_MOST_SHARDS = 2_000  # the largest models have 200
_TOGETHER = "check that config.json and the weights belong to the same model"


def _read_pickle(path: Path) -> Mapping[str, Tensor]:
    from attn_cli.models.files.torch_bin import read_torch_bin  # 5 ms, and most checkpoints are safetensors

    return read_torch_bin(path)


@record(frozen=True, slots=True)
class WeightsFormat:
    """One storage format for weights: a single file, or shards with an index."""

    whole: str
    index: str
    open: Callable[[Path], Mapping[str, Tensor]]


FORMATS = (
    WeightsFormat("model.safetensors", "model.safetensors.index.json", read_safetensors),
    WeightsFormat("pytorch_model.bin", "pytorch_model.bin.index.json", _read_pickle),
)
"""The formats, in order of preference."""


@record(frozen=True, slots=True)
class Weights:
    """The tensors of a checkpoint by name.

    `prefixes` may precede every name (`bert.`, `model.`); `aliases` map a part of a name to its spelling in
    older files (`LayerNorm.gamma`).
    """

    directory: Path
    tensors: Mapping[str, Tensor]
    prefixes: Sequence[str] = ("",)
    aliases: Mapping[str, str] | None = None
    wrapper: str = ""  # precedes the prefixes: `_orig_mod.` of torch.compile, `module.` of DDP, or another
    adapter: str = ""  # what was merged into the tensors, in words
    notes: tuple[str, ...] = ()  # what else to know of them

    def unwrapped(self, anchors: Sequence[str]) -> "Weights":
        """The weights with the prefix of a wrapper, if all of `anchors` are found only behind the same one.

        The anchors are names that every checkpoint of the model has.

        Raises:
            AttnError: they are found behind several, so the file contains several models.
        """
        if any(self._find(name) is not None for name in anchors):
            return self
        wrappers = sorted(set.intersection(*map(self._wrappers, anchors)))
        if len(wrappers) > 1:
            problem = f"{self.directory} contains the weights of several models: {', '.join(wrappers)}"
            raise AttnError(problem, "save the one to inspect by itself")
        return replace(self, wrapper=wrappers[0]) if wrappers else self

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of the weights: a wrapper that was removed, an adapter that was merged."""
        around = (
            f"the names of the weights begin with '{self.wrapper}', which was removed: a wrapper added it"
        )
        merged = f"{self.adapter} was merged into the weights; --no-adapter leaves it out"
        return (*((around,) if self.wrapper else ()), *((merged,) if self.adapter else ()), *self.notes)

    @property
    def files(self) -> set[Path]:
        """The files that have the tensors."""
        return {tensor.path for tensor in self.tensors.values()}

    @property
    def is_changed(self) -> bool:
        """Whether transformers would read other tensors from the files, or other numbers."""
        has_scales = any(name.endswith("_scale_inv") for name in self.tensors)  # as `fp8.scaled` reads them
        return bool(self.wrapper or self.adapter or has_scales)

    @property
    def has_integers(self) -> bool:
        """Whether a matrix cannot be read as floating-point numbers."""
        return any(tensor.numbers is None and len(tensor.shape) > 1 for tensor in self.tensors.values())

    @property
    def renamed(self) -> dict[str, Tensor]:
        """The tensors by name, without the wrapper's prefix."""
        return {name.removeprefix(self.wrapper): tensor for name, tensor in self.tensors.items()}

    def read(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Read the tensor as float32 (float64 if the file is).

        Raises:
            AttnError: it is missing, has another shape, or an unsupported dtype.
        """
        return self._numbers(name, shape)(None)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Check that `read` would succeed, without reading the numbers.

        Raises:
            AttnError: as `read`.
        """
        self._numbers(name, shape)

    def has(self, name: str) -> bool:
        """Whether there is such a tensor, of any shape."""
        return self._find(name) is not None

    def stored(self, name: str) -> str:
        """The tensor's name in the file, with its prefix; `name` itself if it is missing."""
        return next((alias for alias in self._aliases(name) if alias in self.tensors), name)

    def rows(self, name: str, shape: tuple[int, int], indices: Sequence[int]) -> FloatArray:
        """(len(indices), M) the given rows of a matrix; the others are not read from disk."""
        return self._numbers(name, shape)(indices)

    def _numbers(self, name: str, shape: tuple[int, ...]) -> Callable[[Sequence[int] | None], FloatArray]:
        tensor = self._find(name)
        if tensor is None or tensor.numbers is None:
            self._check_not_quantised()
        if tensor is None:
            raise AttnError(f"the tensor {name} is missing from {self.directory}", _TOGETHER)
        if tensor.shape != shape:
            problem = f"the tensor {name} in {tensor.path} has the shape {tensor.shape}, not {shape}"
            raise AttnError(problem, _TOGETHER)
        if tensor.numbers is None:
            raise self._unsupported(name, tensor)
        return tensor.numbers

    def check_floats(self) -> None:
        """Raise `AttnError` for a matrix of integers, and for 8-bit floats whose scales cannot be applied."""
        for name, tensor in self.tensors.items():
            if tensor.numbers is None and len(tensor.shape) > 1 and name.endswith("weight"):
                self._check_not_quantised()
                raise self._unsupported(name, tensor)

    @staticmethod
    def _unsupported(name: str, tensor: Tensor) -> AttnError:
        problem = f"the tensor {name} in {tensor.path} has an unsupported type: {tensor.dtype}"
        return AttnError(problem, "use a checkpoint in float32, float16 or bfloat16")

    def _check_not_quantised(self) -> None:
        """Raise `AttnError` if the names of the tensors show a quantisation."""
        from attn_cli.models.files.quantisation import quantised_by  # only this error needs it

        method = quantised_by(self.tensors)
        if method is not None:
            problem = f"the weights in {self.directory} are quantised ({method}), and cannot be read here"
            raise AttnError(problem, "use a checkpoint that is not quantised")

    def _find(self, name: str) -> Tensor | None:
        return self.tensors.get(self.stored(name))

    def _wrappers(self, name: str) -> set[str]:
        """What precedes the names that the tensor may have, where it is found behind something else."""
        ends = [f".{alias}" for alias in self._aliases(name)]
        longest = {
            stored: max((end for end in ends if stored.endswith(end)), key=len, default="")
            for stored in self.tensors
        }
        return {stored.removesuffix(end) + "." for stored, end in longest.items() if end}

    def _aliases(self, name: str) -> list[str]:
        """The names that the tensor may have in a file, the most likely first."""
        older = [name.replace(new, old) for new, old in (self.aliases or {}).items() if new in name]
        return [self.wrapper + prefix + alias for alias in (name, *older) for prefix in self.prefixes]


def open_weights(
    directory: Path, prefixes: Sequence[str] = ("",), aliases: Mapping[str, str] | None = None
) -> Weights:
    """Open the weights of the model in `directory`: one file, or the shards listed in its index.

    Raises:
        AttnError: there are none, or a file is damaged, or they hold an adapter beside the model's tensors.
    """
    form, shards = _shards(directory)
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        shard_tensors = form.open(shard)
        if twice := sorted(tensors.keys() & shard_tensors.keys()):
            other = tensors[twice[0]].path
            problem = f"the tensor {twice[0]} is in two files: {other} and {shard}"
            raise DamagedFileError(problem, RELOAD, shard)
        tensors |= shard_tensors
    if any(tensor.dtype.startswith("F8_") for tensor in tensors.values()):
        from attn_cli.models.files.fp8 import scaled  # few checkpoints need it

        tensors = scaled(tensors, _block(directory))
    unmerged = next((name for name in tensors if name.endswith(_UNMERGED)), None)
    if unmerged is not None:
        problem = f"the weights in {directory} hold a LoRA adapter that was not merged: {unmerged}"
        raise AttnError(problem, "merge it with PEFT: merge_and_unload, then save_pretrained")
    return Weights(directory, tensors, prefixes, aliases)


def _block(directory: Path) -> Sequence[int] | None:
    """The rows and columns of a block with a scale of its own, if the configuration says."""
    values = read_config(directory).values.get("quantization_config")
    block = values.get("weight_block_size") if isinstance(values, dict) else None
    is_pair = isinstance(block, list) and [type(side) for side in block] == [int, int] and min(block) > 0
    return block if is_pair else None


def open_file(path: Path) -> Mapping[str, Tensor]:
    """The tensors of one file, by name; its suffix says the format.

    Raises:
        AttnError: the file is damaged.
    """
    form = next((form for form in FORMATS if Path(form.whole).suffix == path.suffix), FORMATS[0])
    return form.open(path)


def weight_files(directory: Path) -> list[Path]:
    """The files that `open_weights` reads.

    Raises:
        AttnError: there are none, or a shard is missing.
    """
    return _shards(directory)[1]


def _shards(directory: Path) -> tuple[WeightsFormat, list[Path]]:
    """The format of the weights in the directory, and their files.

    Raises:
        AttnError: there are none, or a shard is missing.
    """
    for form in FORMATS:
        if (directory / form.whole).exists():
            return form, [checked_path(directory, form.whole)]
        if (directory / form.index).exists():
            index = checked_path(directory, form.index, LARGEST_INDEX)
            names = shard_names(index, form)
            lacking = [name for name in names if not joined(directory, name).exists()]
            if lacking:
                problem = f"{directory} lacks {len(lacking)} of {len(names)} shards: {lacking[0]} is missing"
                raise AttnError(problem, "download the missing files, or the model again")
            return form, [checked_path(directory, name) for name in names]
    from attn_cli.models.files.other_formats import no_weights  # only this error needs it

    raise no_weights(directory)


def shard_names(index: Path, form: WeightsFormat) -> list[str]:
    """The shards listed in the index, as names of files beside it.

    Raises:
        AttnError: it lists a file outside its directory, or none, or more than a model has.
    """
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise DamagedFileError(f"{index} has no weight_map", RELOAD, index)
    names = sorted({str(name) for name in listed.values()})
    if len(names) > _MOST_SHARDS:
        problem = f"{index} lists {len(names):,} shards, and no model has so many"
        raise DamagedFileError(problem, RELOAD, index)
    for name in names:
        if not re.fullmatch(r"[\w.\-]+" + re.escape(Path(form.whole).suffix), name):
            problem = f"{index} lists a file outside its directory: {name!r}"
            raise DamagedFileError(problem, RELOAD, index)
    return names
