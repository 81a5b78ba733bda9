"""Builds eager transformers models: sketches without weights, or loaded with only the layers needed."""

import copy
import inspect
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext, redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway
import transformers
from transformers.models.auto import configuration_auto

from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend
from attn_cli.models.bridge.spread import device_map
from attn_cli.models.files.tensors import Tensor
from attn_cli.models.hf_errors import translated_errors
from attn_cli.record import record
from attn_cli.vocabulary import DType, Kind

CLASSES = (
    "AutoModel",
    "AutoModelForSeq2SeqLM",
    "AutoModelForCausalLM",
    "AutoModelForMaskedLM",
    "AutoModelForTextEncoding",
)
"""In order of preference: the bare model if there is one."""

_IN_LAYERS = re.compile(r"\.\d+\.|embed|wte|wpe|shared")
"""Parameters the attention depends on: numbered layers and embeddings, but not poolers and classifiers."""

_ALL = re.compile("")

_WITH_IMAGES = frozenset({"blip-2", "instructblip", "instructblipvideo", "llama4"})
"""Models whose code needs an image (of Llama 4: looks for one in its result), around a language model."""

_HINT = "check that config.json and the weights belong to the same model"
_OF_ENCODER = ("encoder_layers", "num_encoder_layers", "num_layers", "num_hidden_layers")
_OF_DECODER = ("decoder_layers", "num_decoder_layers")


class MissingTensorError(AttnError):
    """A tensor of the model is not in the files, or has another shape."""


def is_known(kind: str) -> bool:
    """Whether transformers has this model type."""
    names: Any = configuration_auto
    return kind in names.CONFIG_MAPPING_NAMES


def read_config(
    directory: Path, *, trusts_code: bool = False, overrides: Mapping[str, object] | None = None
) -> Any:
    """The configuration of the model in `directory`, as transformers reads it.

    `overrides` are values that the file lacks, or has otherwise.

    Raises:
        AttnError: it cannot be read.
    """
    with translated_errors(f"transformers cannot read the configuration in {directory}"):
        values = dict(overrides or {})
        kind = values.pop("model_type", None)
        reader: Any = (
            transformers.AutoConfig if kind is None else configuration_auto.CONFIG_MAPPING[str(kind)]
        )
        config = reader.from_pretrained(
            directory, local_files_only=True, trust_remote_code=trusts_code, **values
        )
        vars(config).pop("transformers_weights", None)  # another file than those that were checked
        config.architectures = config.architectures or []  # Funnel iterates over it even if it is None
        return config


def model_builder(config: Any) -> Any:
    """What builds this model: an Auto class, for the bare model if there is one, or the class it names.

    A quantised model is built as it was saved, because its modules are replaced by their names in the file.

    Raises:
        AttnError: there is none for text.
    """
    if half := _half(config):
        return NamedClass(half)
    for name in sorted(CLASSES, key=lambda name: not _is_saved_as(name, config)):
        builder = getattr(transformers, name)
        is_own = name in (getattr(config, "auto_map", None) or {})  # the checkpoint's own code
        if is_own or type(config) in builder._model_mapping:  # noqa: SLF001  there is no public way
            return builder
    named = (getattr(transformers, name, None) for name in config.architectures or ())
    if reading := next(filter(reads_text, named), None):
        return NamedClass(reading)
    problem = (
        f"transformers has no text model of type {config.model_type}: it is part of others, or reads no text"
    )
    raise AttnError(problem, "use a model that reads text: attn models --families")


def _is_saved_as(name: str, config: Any) -> bool:
    """Whether this Auto class builds the class that a quantised checkpoint was saved from."""
    if not is_quantised(config):
        return False
    built = getattr(transformers, name)._model_mapping.get(type(config), None)  # noqa: SLF001  as below
    classes = built if isinstance(built, tuple) else (built,)
    return any(each is not None and each.__name__ in config.architectures for each in classes)


def is_quantised(config: Any) -> bool:
    """Whether the modules of the model are replaced by quantised ones."""
    return bool(getattr(config, "quantization_config", None))


def _unquantised(config: Any) -> Any:
    """A copy of the configuration that asks for no quantised modules."""
    copied = copy.deepcopy(config)
    vars(copied).pop("quantization_config", None)
    return copied


@record(frozen=True, slots=True)
class NamedClass:
    """A class of transformers that no Auto class builds, with an Auto class's way to build it."""

    named: Any

    def from_config(self, config: Any, *, trust_remote_code: bool = False, **options: Any) -> Any:
        """A model with new weights."""
        del trust_remote_code  # the class is transformers' own
        return self.named._from_config(config, **options)  # noqa: SLF001  Auto classes do the same

    def from_pretrained(self, directory: Path, *, trust_remote_code: bool = False, **options: Any) -> Any:
        """The model in the directory."""
        del trust_remote_code
        return self.named.from_pretrained(directory, **options)


def _half(config: Any) -> Any:
    """The class of an encoder or a decoder alone, if `architectures` names one; else None."""
    bare = transformers.AutoModel._model_mapping.get(type(config), None)  # noqa: SLF001  as above
    if not inspect.isclass(bare) or not _takes(bare, "decoder_input_ids"):
        return None
    home = sys.modules[bare.__module__]
    named = (getattr(home, name, None) for name in config.architectures or ())
    return next((each for each in named if reads_text(each) and not _takes(each, "decoder_input_ids")), None)


def is_encoder_alone(model: Any) -> bool:
    """Whether the model is the encoder of an encoder-decoder model, without the decoder."""
    name = type(model).__name__
    return _half(model.config) is type(model) and "Decoder" not in name and "CausalLM" not in name


def has_decoder(model: Any) -> bool:
    """Whether it is an encoder-decoder model, with both."""
    return bool(model.config.is_encoder_decoder) and _half(model.config) is not type(model)


def reads_text(named: Any) -> bool:
    """Whether this is a class of models that take tokens."""
    return named is not None and hasattr(named, "forward") and _takes(named, "input_ids")


def _takes(named: Any, argument: str) -> bool:
    return argument in inspect.signature(named.forward).parameters


def build_sketch(config: Any, *, trusts_code: bool = False, builder: Any = None) -> Any:
    """Build the model without weights, on the meta device: every module and shape, but no numbers.

    `builder` builds another than the bare model.

    Raises:
        AttnError: transformers has no such model for text.
    """
    builder = builder or model_builder(config)
    with translated_errors(f"transformers cannot build a {config.model_type}"), torch.device("meta"):
        return builder.from_config(
            _unquantised(config),
            attn_implementation="eager",
            experts_implementation="batched_mm",
            trust_remote_code=trusts_code,
        ).eval()  # batched_mm is the one way to run experts that reads no values


def load_model(
    directory: Path,
    config: Any,
    backend: Backend,
    *,
    trusts_code: bool = False,
    state: Mapping[str, Tensor] | None = None,
    builder: Any = None,
) -> Any:
    """Load the model with the weights in `directory`, in the backend's number format and on its device.

    `state` replaces the files of weights, by the names that transformers gives them. `builder` builds another
    than the bare model, which must then be in the files as a whole.

    Raises:
        AttnError: the weights cannot be read, or do not belong to this model.
    """
    try:
        return _loaded(directory, config, backend, builder, trusts_code=trusts_code, state=state)
    except AttnError as error:
        if state is not None or not is_quantised(config):
            raise
        problem = f"{directory} is quantised, and transformers {transformers.__version__} cannot read it here"
        raise AttnError(f"{problem}: {error.problem}", "use a checkpoint that is not quantised") from error


def _loaded(
    directory: Path,
    config: Any,
    backend: Backend,
    chosen: Any,
    *,
    trusts_code: bool,
    state: Mapping[str, Tensor] | None,
) -> Any:
    builder = chosen or model_builder(config)
    build = partial(build_sketch, config, trusts_code=trusts_code, builder=chosen)
    place: dict[str, Any] = {}
    if state is not None:  # an Auto class takes no state dict
        sketch = build()
        builder, place = type(sketch), {"state_dict": _as_torch(state, sketch)}
    if backend.dtype is DType.FLOAT64:  # PyTorch multiplies grouped matrices in float32 at most
        place["experts_implementation"] = "eager"
    spread = None if is_quantised(config) else device_map(build, backend)
    if spread is not None:
        place["device_map"] = spread
    silent = redirect_stderr(StringIO()) if is_quantised(config) else nullcontext()  # progress bars
    with translated_errors(f"transformers cannot load {directory}"), silent:
        model, loading_info = builder.from_pretrained(
            directory if state is None else None,
            config=copy.deepcopy(config) if is_quantised(config) and state is None else _unquantised(config),
            attn_implementation="eager",
            dtype=getattr(torch, backend.dtype.value),
            local_files_only=True,
            trust_remote_code=trusts_code,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # which are in the loading info, and an error below
            **place,
        )
        if _has_4_bit_experts(config):  # transformers 5.0 reads them as bfloat16, which is exact
            model.to(getattr(torch, backend.dtype.value))
        mismatched = {name: shapes for name, *shapes in loading_info["mismatched_keys"]}
        drawn = {*loading_info["missing_keys"], *mismatched}
        if drawn:
            drawn -= _computed(build())
        _check_whole(directory, drawn, mismatched, _ALL if chosen else _IN_LAYERS)
        if backend.rounded is not None:
            _round(model, getattr(torch, backend.rounded.value), loading_info["missing_keys"])
        text = of_text(model) if spread else of_text(model).to(backend.device)
        return text.eval()


def of_text(model: Any) -> Any:
    """The part of the model that reads text, if the whole cannot be run on text alone."""
    is_alone = model.config.model_type not in _WITH_IMAGES
    return model if is_alone or not hasattr(model, "language_model") else model.language_model


def _round(model: Any, coarse: torch.dtype, missing: Collection[str]) -> None:
    """Round the parameters that are in the files to a coarser number format; they keep their own."""
    for name, parameter in model.named_parameters():
        if name not in missing:
            parameter.data = parameter.data.to(coarse).to(parameter.dtype)


def _has_4_bit_experts(config: Any) -> bool:
    """Whether the model is quantised as MXFP4, which transformers undoes when it loads the model."""
    said = getattr(config, "quantization_config", None) or {}
    method = said.get("quant_method") if isinstance(said, dict) else said.quant_method
    return getattr(method, "value", method) == "mxfp4"


def _as_torch(state: Mapping[str, Tensor], sketch: Any) -> dict[str, torch.Tensor]:
    """The tensors as transformers takes them, without those of layers that the sketch does not have.

    Tensors that are not floating-point are left out.
    """
    lists = {
        name: len(part) for name, part in sketch.named_modules() if isinstance(part, torch.nn.ModuleList)
    }

    def is_in(name: str) -> bool:
        numbered = re.match(r"(.*?)\.(\d+)\.", name)
        if numbered is None:
            return True
        ends = (size for part, size in lists.items() if f".{numbered[1]}".endswith(f".{part}"))
        return int(numbered[2]) < max(ends, default=sys.maxsize)

    return {
        name: torch.tensor(tensor.numbers(None))
        for name, tensor in state.items()
        if tensor.numbers is not None and is_in(name)
    }


def _computed(whole: Any) -> set[str]:
    """The parameters that are computed, not trained, so that files may omit them: Marian's sinusoids."""
    return {name for name, parameter in whole.named_parameters() if not parameter.requires_grad}


def _check_whole(
    directory: Path,
    lacking: Collection[str],
    mismatched: Mapping[str, Sequence[Sequence[int]]],
    wanted: re.Pattern[str],
) -> None:
    """Raise `AttnError` for a `wanted` tensor that transformers drew at random: of another shape, or missing.

    The head of a task may be missing.
    """
    needed = sorted(name for name in lacking if name in mismatched or wanted.search(name))
    if needed:
        problem = f"the tensor {needed[0]} is missing from {directory}"
        if needed[0] in mismatched:
            found, expected = (tuple(shape) for shape in mismatched[needed[0]])
            problem = f"the tensor {needed[0]} in {directory} has the shape {found}, not {expected}"
        raise MissingTensorError(problem, _HINT)


def shorten_config(config: Any, kind: Kind, count: int, whole: Any, *, trusts_code: bool = False) -> Any:
    """The configuration of the same model with only its first `count` layers.

    None if that would be another model: in some families a layer depends on the number of layers, and then
    the short sketch differs from `whole`, the sketch of all layers.
    """
    try:
        with translated_errors(""):
            short = _cut(copy.deepcopy(config), kind, count)
            if short is None or not _is_part(of_text(build_sketch(short, trusts_code=trusts_code)), whole):
                return None
            return short
    except AttnError:
        return None


def _cut(config: Any, kind: Kind, count: int) -> Any:
    """The configuration changed to `count` layers; None if that is impossible."""
    text = config.get_text_config()
    if kind is Kind.SELF:
        names = {"num_hidden_layers": count}
    else:
        encoder, decoder = (
            next((name for name in names if hasattr(text, name)), None)
            for names in (_OF_ENCODER, _OF_DECODER)
        )
        if encoder is None or decoder is None:
            return None
        names = {encoder: count, decoder: 1} if kind is Kind.ENCODER else {decoder: count}
    for name, number in names.items():
        layers = getattr(text, name)
        if number > layers:
            return None
        for setting, value in list(vars(text).items()):  # a list with one entry per layer
            if isinstance(value, list | tuple) and len(value) == layers > 1:
                setattr(text, setting, value[:number])
        setattr(text, name, number)
    return config


def _is_part(short: Any, whole: Any) -> bool:
    """Whether every module of the short model exists in the whole model with the same settings."""
    there = dict(whole.named_modules())
    return all(
        name in there and (not name or _settings(module) == _settings(there[name]))
        for name, module in short.named_modules()
        if type(module) is not torch.nn.ModuleList
    )


def _settings(module: torch.nn.Module) -> dict[str, Any]:
    """A module's class, parameter shapes, and attributes that are numbers, flags or strings."""
    plain = {name: value for name, value in vars(module).items() if isinstance(value, int | float | str)}
    shapes = {name: tuple(parameter.shape) for name, parameter in module.named_parameters(recurse=False)}
    return plain | shapes | {"class": type(module)}


@record(frozen=True, slots=True, eq=False)
class RopeTables:
    """The modules with tables of frequencies as they were loaded: dynamic RoPE remembers the longest text."""

    modules: tuple[tuple[torch.nn.Module, dict[str, Any], dict[str, Any]], ...]

    @classmethod
    def of(cls, model: torch.nn.Module) -> "RopeTables":
        """The tables of the model, as they are now."""
        return cls(
            tuple(
                (module, copy.copy(vars(module)), dict(module.named_buffers(recurse=False)))
                for module in model.modules()
                if any("inv_freq" in name for name, _ in module.named_buffers(recurse=False))
            )
        )

    def restore(self) -> None:
        """Put the tables back into the model."""
        for module, values, buffers in self.modules:
            vars(module).update(values, _buffers=copy.copy(buffers))


def inputs_of(
    model: Any, ids: Sequence[int], segments: Sequence[int], target: Sequence[int]
) -> dict[str, Any]:
    """The arguments of the model's `forward`; no token is padding."""
    takes = inspect.signature(model.forward).parameters

    def row(numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(numbers)], device="meta" if is_sketch(model) else model.device)

    given: dict[str, Any] = {"input_ids": row(ids)}
    if "token_type_ids" in takes and (any(segments) or getattr(model.config, "type_vocab_size", None)):
        given["token_type_ids"] = row(segments)
    if has_decoder(model):
        given["decoder_input_ids"] = row(target)
    if "attention_mask" in takes:
        given["attention_mask"] = row([1] * len(ids))
    if "use_cache" in takes:
        given["use_cache"] = False
    return given


def is_sketch(model: Any) -> bool:
    """Whether the model has no weights; a few tensors may exist anyway (`FloatTensor` in XLNet)."""
    return any(parameter.is_meta for parameter in model.parameters())
