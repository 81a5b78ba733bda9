"""The weights of a checkpoint by name: safetensors or pickles, in one file or in shards."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.files.config import read_json
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.files.safetensors_file import read_safetensors
from attn_cli.models.files.tensors import RELOAD, FloatArray, Tensor
from attn_cli.record import record

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

    def rows(self, name: str, shape: tuple[int, int], indices: Sequence[int]) -> FloatArray:
        """(len(indices), M) the given rows of a matrix; the others are not read from disk."""
        return self._numbers(name, shape)(indices)

    def _numbers(self, name: str, shape: tuple[int, ...]) -> Callable[[Sequence[int] | None], FloatArray]:
        tensor = next((self.tensors[alias] for alias in self._aliases(name) if alias in self.tensors), None)
        if tensor is None:
            raise AttnError(f"the tensor {name} is missing from {self.directory}", _TOGETHER)
        if tensor.shape != shape:
            problem = f"the tensor {name} in {tensor.path} has the shape {tensor.shape}, not {shape}"
            raise AttnError(problem, _TOGETHER)
        if tensor.numbers is None:
            problem = f"the tensor {name} in {tensor.path} has an unsupported type: {tensor.dtype}"
            raise AttnError(problem, "use a checkpoint in float32, float16 or bfloat16")
        return tensor.numbers

    def _aliases(self, name: str) -> list[str]:
        """The names that the tensor may have in a file, the most likely first."""
        older = [name.replace(new, old) for new, old in (self.aliases or {}).items() if new in name]
        return [prefix + alias for alias in (name, *older) for prefix in self.prefixes]


def open_weights(
    directory: Path, prefixes: Sequence[str] = ("",), aliases: Mapping[str, str] | None = None
) -> Weights:
    """Open the weights of the model in `directory`: one file, or the shards listed in its index.

    Raises:
        AttnError: there are none, or a file is damaged.
    """
    form, shards = _shards(directory)
    tensors: dict[str, Tensor] = {}
    for shard in shards:
        shard_tensors = form.open(shard)
        if twice := sorted(tensors.keys() & shard_tensors.keys()):
            other = tensors[twice[0]].path
            raise AttnError(f"the tensor {twice[0]} is in two files: {other} and {shard}", RELOAD)
        tensors |= shard_tensors
    return Weights(directory, tensors, prefixes, aliases)


def _shards(directory: Path) -> tuple[WeightsFormat, list[Path]]:
    """The format of the weights in the directory, and their files."""
    for form in FORMATS:
        if (directory / form.whole).exists():
            return form, [checked_path(directory, form.whole)]
        if (directory / form.index).exists():
            index = checked_path(directory, form.index, LARGEST_TEXT)
            return form, [checked_path(directory, name) for name in shard_names(index, form)]
    return FORMATS[0], [directory / FORMATS[0].whole]  # opening it raises the right error


def shard_names(index: Path, form: WeightsFormat) -> list[str]:
    """The shards listed in the index, as names of files beside it.

    Raises:
        AttnError: it lists a file outside its directory, or none.
    """
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise AttnError(f"{index} has no weight_map", RELOAD)
    names = sorted({str(name) for name in listed.values()})
    for name in names:
        if not re.fullmatch(r"[\w.\-]+" + re.escape(Path(form.whole).suffix), name):
            raise AttnError(f"{index} lists a file outside its directory: {name!r}", RELOAD)
    return names
