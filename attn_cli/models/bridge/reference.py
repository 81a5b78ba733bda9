"""The reference model: transformers' eager attention on the same files.

It runs transformers' complete model with `output_attentions`; the output of W^O is recorded by a hook.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway
import transformers

from attn_cli.core.arrays import to_numpy
from attn_cli.errors import AttnError
from attn_cli.models.backend import torch_backend
from attn_cli.models.bridge.hf_models import inputs_of, load_model, read_config
from attn_cli.models.files.tensors import FloatArray
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import ReferenceAttention, Texts
from attn_cli.record import record
from attn_cli.vocabulary import DType, Kind

VERSION: str = transformers.__version__
"""The version of transformers."""

_FIELDS = {
    Kind.SELF: "attentions",
    Kind.ENCODER: "encoder_attentions",
    Kind.DECODER: "decoder_attentions",
    Kind.CROSS: "cross_attentions",
}


@record(frozen=True, eq=False)
class EagerModel:
    """transformers' own model over the files in `directory`; `outputs` names the module W^O of each layer.

    Raises:
        AttnError: `directory` is a file, which transformers reads in another way.
    """

    directory: Path
    layers: Mapping[Kind, Sequence[int]]
    outputs: Mapping[Kind, Mapping[int, str]]
    trusts_code: bool = False
    _models: dict[DType, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.directory.is_file():
            problem = f"{self.directory} cannot be compared with transformers: it is a file, not a directory"
            raise AttnError(problem, "verify the checkpoint that the file was converted from")

    def attention_of(
        self, texts: Texts, kinds: Collection[Kind], dtype: DType
    ) -> dict[Kind, ReferenceAttention]:
        """The attention of all layers for each of `kinds`, from one run of the model.

        Raises:
            AttnError: transformers cannot run the model, or does not return these attentions.
        """
        model = self._model(dtype)
        inputs = _inputs(model, texts)
        with translated_errors("transformers cannot run the model"), torch.no_grad():
            names = {kind: self._output_names(model, kind) for kind in kinds}
            all_names = {name for by_layer in names.values() for name in by_layer.values()}
            with _record_outputs(model, all_names) as recorded:
                outputs = model(**inputs, output_attentions=True, return_dict=True)
        calls = {name: iter(results) for name, results in recorded.items()}
        return {
            kind: ReferenceAttention(
                weights=_by_layer(_returned(outputs, kind), self.layers[kind], self.directory),
                outputs={layer: next(calls[name]) for layer, name in names[kind].items()},
            )
            for kind in kinds
        }

    def _output_names(self, model: torch.nn.Module, kind: Kind) -> dict[int, str]:
        """The name of W^O of each layer in transformers' model."""
        return {layer: _full_name(model, name) for layer, name in self.outputs.get(kind, {}).items()}

    def _model(self, dtype: DType) -> Any:
        if dtype not in self._models:
            config = read_config(self.directory, trusts_code=self.trusts_code)
            backend = torch_backend("cpu", dtype)
            self._models[dtype] = load_model(self.directory, config, backend, trusts_code=self.trusts_code)
        return self._models[dtype]


def _inputs(model: Any, texts: Texts) -> dict[str, Any]:
    """The model's inputs; a decoder without a text gets a single token."""
    return inputs_of(
        model,
        [token.id for token in texts.tokens],
        [token.segment for token in texts.tokens],
        [token.id for token in texts.target] or [0],
    )


def _returned(outputs: Any, kind: Kind) -> Any:
    """The attentions of one kind; an encoder without a decoder returns them as a model of one kind does."""
    own = getattr(outputs, _FIELDS[kind], None)
    return getattr(outputs, _FIELDS[Kind.SELF], None) if own is None and kind is Kind.ENCODER else own


def _by_layer(attentions: Any, layers: Sequence[int], directory: Path) -> dict[int, FloatArray]:
    """The attentions by layer: transformers lists all layers, or only those with attention.

    Raises:
        AttnError: their number differs.
    """
    present = [attention for attention in attentions or () if attention is not None]
    if len(present) == len(layers):
        return {layer: to_numpy(attention[0]) for layer, attention in zip(layers, present, strict=True)}
    problem = f"transformers returns {len(present)} attentions for the {len(layers)} layers of {directory}"
    raise AttnError(problem, "attn inspect instead: there is no reference to compare this model with")


def _full_name(model: torch.nn.Module, name: str) -> str:
    """The module's full name in transformers' model, which may have a prefix.

    Raises:
        AttnError: this version of transformers has no such module.
    """
    full_names = (path for path, _ in model.named_modules() if path == name or path.endswith(f".{name}"))
    full_name: str | None = next(full_names, None)
    if full_name is None:
        problem = f"transformers {VERSION} has no module {name}, so outputs cannot be compared"
        raise AttnError(problem, "the version of transformers in constraints.txt, which attn was tested with")
    return full_name


@contextmanager
def _record_outputs(
    model: torch.nn.Module, names: Collection[str]
) -> Iterator[Mapping[str, list[FloatArray]]]:
    """Record what the named modules return inside the block, (T, M) for each call."""
    calls: dict[str, list[FloatArray]] = {name: [] for name in names}

    def hook(name: str) -> Callable[..., None]:
        def keep(_module: torch.nn.Module, _given: Any, result: torch.Tensor) -> None:
            calls[name].append(to_numpy(result.reshape(-1, result.shape[-1])))

        return keep

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if name in calls:
                stack.callback(module.register_forward_hook(hook(name)).remove)
        yield calls
