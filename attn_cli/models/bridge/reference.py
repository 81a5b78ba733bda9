"""The reference model: transformers' eager attention on the same files.

It runs transformers' complete model with `output_attentions`. `judged_modules.py` records what enters W^Q and
what enters and leaves W^O, and `judge.py` the operations in between.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch  # 1.7 s: imported only by modules that need it anyway
import transformers

from attn_cli.core.arrays import to_numpy
from attn_cli.errors import AttnError
from attn_cli.models.backend import torch_backend
from attn_cli.models.bridge.exact_numbers import exact_constants, exact_numbers
from attn_cli.models.bridge.hf_models import (
    RopeTables,
    build_sketch,
    inputs_of,
    load_model,
    read_config,
    shorten_config,
)
from attn_cli.models.bridge.judge import OperationWatch
from attn_cli.models.bridge.judged_modules import ModuleWatch
from attn_cli.models.bridge.reference_tokens import auto_tokens
from attn_cli.models.files.tensors import FloatArray, Tensor
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import AttentionModules, Precision, ReferenceLayer, ReferenceTokens, Texts
from attn_cli.record import record
from attn_cli.vocabulary import DType, Kind

if TYPE_CHECKING:
    from attn_cli.models.tokens.chat.template import WrittenChat

VERSION: str = transformers.__version__
"""The version of transformers."""

_FIELDS = {
    Kind.SELF: "attentions",
    Kind.ENCODER: "encoder_attentions",
    Kind.DECODER: "decoder_attentions",
    Kind.CROSS: "cross_attentions",
}
ALL_ROWS = 256
"""Tokens: of a longer text 64 rows are compared, so that memory grows with its length and not its square."""

_FIRST, _BETWEEN, _LAST = 8, 32, 24  # rows: a sliding window shows in the last ones


@record(frozen=True, eq=False)
class EagerModel:
    """transformers' own model over the files in `directory`; `modules` names the modules of each layer.

    Raises:
        AttnError: `directory` is a file, which transformers reads in another way.
    """

    directory: Path
    tokenizer: Path | None  # the directory of the tokenizer; None: it has none
    layers: Mapping[Kind, Sequence[int]]
    modules: Mapping[Kind, Mapping[int, AttentionModules]]
    trusts_code: bool = False
    has_template: bool = True  # whether the tokenizer adds special tokens
    state: Mapping[str, Tensor] | None = None  # the weights, where transformers cannot read the files
    overrides: Mapping[str, object] | None = None  # of the configuration
    _models: dict[tuple[Precision, int | None], Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.directory.is_file():
            problem = f"{self.directory} cannot be compared with transformers: it is a file, not a directory"
            raise AttnError(problem, "verify the checkpoint that the file was converted from")

    def tokens_of(
        self, text: str, pair: str | None, target: str | None, chat: "WrittenChat | None" = None
    ) -> ReferenceTokens:
        """The tokens by AutoTokenizer, over the same directory.

        Raises:
            AttnError: it cannot read the tokenizer, or not the text.
        """
        config = read_config(self.directory, trusts_code=self.trusts_code, overrides=self.overrides)
        return auto_tokens(
            self._tokenizer_directory,
            config,
            (text, pair, target),
            trusts_code=self.trusts_code,
            has_template=self.has_template,
            chat=chat,
        )

    @property
    def _tokenizer_directory(self) -> Path:
        """Where AutoTokenizer reads the tokenizer.

        Raises:
            AttnError: nowhere.
        """
        if self.tokenizer is None:
            problem = "the tokenizer is a file on its own, which AutoTokenizer does not read"
            raise AttnError(problem, "--tokenizer DIR, its directory")
        return self.tokenizer

    def attention_of(
        self, texts: Texts, kinds: Collection[Kind], precision: Precision, first: int | None = None
    ) -> dict[Kind, dict[int, ReferenceLayer]]:
        """The attention of all layers, or of the `first`, for each of `kinds`, from one run of the model.

        In float64 nothing is float32, not even what transformers casts to it.

        Raises:
            AttnError: transformers cannot run the model, or does not return these attentions.
        """
        model = self._model(precision, first)
        inputs = _inputs(model, texts)
        is_exact = precision.dtype is DType.FLOAT64
        watch = OperationWatch(_shapes(texts), rows_of, is_exact=is_exact)
        around = ModuleWatch(watch)
        with translated_errors("transformers cannot run the model"), torch.no_grad():
            names = {kind: self._full_names(model, kind, first) for kind in kinds}
            named = [modules for by_layer in names.values() for modules in by_layer.values()]
            with around.watching(model, named), exact_constants(is_wanted=is_exact), watch:
                outputs = model(**inputs, output_attentions=True, return_dict=True)
        return {
            kind: around.layers(
                names[kind], _by_layer(_returned(outputs, kind), self.layers[kind][:first], self.directory)
            )
            for kind in kinds
        }

    def _full_names(
        self, model: torch.nn.Module, kind: Kind, first: int | None
    ) -> dict[int, AttentionModules]:
        """The names of each layer's modules in transformers' model."""
        named = list(self.modules.get(kind, {}).items())[:first]
        return {
            layer: AttentionModules(_full_name(model, names.query), _full_name(model, names.output))
            for layer, names in named
        }

    def _model(self, precision: Precision, first: int | None) -> Any:
        """The model, as it was loaded: dynamic RoPE would remember the longest text."""
        known = (precision, first)
        if known not in self._models:
            backend, own = torch_backend("cpu", precision.dtype, precision.rounded), self.trusts_code
            with exact_numbers(is_wanted=precision.dtype is DType.FLOAT64):
                model = load_model(
                    self.directory, self._config(first), backend, trusts_code=own, state=self.state
                )
            self._models[known] = (model, RopeTables.of(model))
        model, tables = self._models[known]
        tables.restore()
        return model

    def _config(self, first: int | None) -> Any:
        """The configuration, perhaps of only the first layers.

        Raises:
            AttnError: a model of fewer layers would be another one.
        """
        own = self.trusts_code
        config = read_config(self.directory, trusts_code=own, overrides=self.overrides)
        if first is None:
            return config
        sketch = build_sketch(config, trusts_code=own)
        short = shorten_config(config, Kind.SELF, first, sketch, trusts_code=own)
        if short is None:
            problem = f"the first {first} layers of {self.directory} cannot be run alone"
            raise AttnError(problem, "a shorter text")
        return short


def rows_of(length: int) -> Sequence[int] | None:
    """Which of T rows are compared: all, or the first, the last, and some between."""
    if length <= ALL_ROWS:
        return None
    last = length - _LAST
    between = range(_FIRST, last, max(1, (last - _FIRST) // _BETWEEN))
    return (*range(_FIRST), *between[:_BETWEEN], *range(last, length))


def _shapes(texts: Texts) -> list[tuple[int, int]]:
    """The shapes (T, S) of a matrix of attention."""
    length, target = len(texts.tokens), max(1, len(texts.target))
    return [(length, length), (target, target), (target, length)]


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
