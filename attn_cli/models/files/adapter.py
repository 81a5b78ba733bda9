"""Reads a LoRA adapter of PEFT: `adapter_config.json`, and the tensors for the modules of its base.

Hu et al. 2021, arXiv:2106.09685. The names and the rules are those of PEFT (`tuners/lora` and
`tuners/tuners_utils.py`): which modules the configuration targets, and the rank and alpha of each.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config, read_adapter_config
from attn_cli.models.files.safe_paths import checked_path
from attn_cli.models.files.tensors import Tensor
from attn_cli.models.files.weights import open_file
from attn_cli.record import record

ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
LEAVE_OUT = "--no-adapter reads the base without it"
"""The hint for an adapter that cannot be merged."""

_PART = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
    r"(\.default)?(?P<end>\.weight|\.bias)?"
)
_WRAPPED = re.compile(r"\.(base_layer|modules_to_save(\.default)?)(?=\.)")
_OF_OTHERS = re.compile(r"\.(lora_\w+|ranknum|token_adapter|original_module)\b")

_UNDERSTOOD = {
    *("peft_type", "base_model_name_or_path", "r", "lora_alpha", "rank_pattern", "alpha_pattern"),
    *("target_modules", "exclude_modules", "modules_to_save", "layers_to_transform", "layers_pattern"),
    *("use_rslora", "use_dora", "lora_bias", "bias", "fan_in_fan_out", "init_lora_weights"),
}
_OF_TRAINING = {
    *("task_type", "auto_mapping", "revision", "peft_version", "inference_mode", "lora_dropout"),
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config", "megatron_config", "runtime_config"),
    *("ensure_weight_tying", "merge_weights"),
}
_CHANGES_THE_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga", "mica")
"""Initialisations that subtract the initial matrices from the base's weights."""


@record(frozen=True, slots=True)
class LowRank:
    """The change of one module: s B A, with DoRA's magnitudes if there are any.

    For an embedding A is (r, V) and B (M, r); for a linear layer A is (r, in) and B (out, r).
    """

    down: Tensor  # A
    up: Tensor  # B
    scale: float  # s: alpha / r, or alpha / sqrt(r)
    is_embedding: bool = False
    magnitude: Tensor | None = None
    bias: Tensor | None = None  # of B; scaled too


@record(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter; modules are named as in the base model."""

    directory: Path
    kind: str  # LoRA, or DoRA
    modules: Mapping[str, LowRank]
    whole: Mapping[str, Tensor]  # tensors that replace the base's: biases, and `modules_to_save`
    left_out: Sequence[str] = ()  # modules in the file that the configuration does not target


def read_adapter(directory: Path) -> Adapter:
    """Read the adapter in `directory`; its tensors are read on demand.

    Raises:
        AttnError: it is not a LoRA adapter, or a variant that cannot be merged exactly, or a file is damaged.
    """
    config = read_adapter_config(directory)
    _check_kind(config)
    parts, whole = _parts(_weights(directory))
    targeted = {module: tensors for module, tensors in parts.items() if _is_target(config, module)}
    return Adapter(
        directory,
        "DoRA" if config.flag("use_dora", default=False) else "LoRA",
        {module: _low_rank(config, module, tensors) for module, tensors in targeted.items()},
        whole,
        tuple(sorted(parts.keys() - targeted.keys())),
    )


def _check_kind(config: Config) -> None:
    """Raise `AttnError` for another method than LoRA, and for what changes more than weights of modules."""
    kind = config.values.get("peft_type")
    if kind is None:
        problem = f"{config.path} is not an adapter of PEFT: it has no peft_type"
        raise AttnError(problem, LEAVE_OUT)
    if kind != "LORA":
        problem = f"the adapter {config.path.parent} is of type {kind}, and only LORA can be merged"
        raise AttnError(problem, LEAVE_OUT)
    for name, value in config.values.items():
        is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
        if value and not is_number and name not in _UNDERSTOOD | _OF_TRAINING:
            problem = f"the adapter {config.path.parent} uses {name}, which cannot be merged exactly"
            raise AttnError(problem, LEAVE_OUT)
    start = str(config.values.get("init_lora_weights")).lower()
    if start.startswith(_CHANGES_THE_BASE):
        problem = f"the adapter {config.path.parent} belongs to a base that its training changed ({start})"
        hint = "convert it: PEFT's save_pretrained(path_initial_model_for_weight_conversion=...)"
        raise AttnError(problem, f"{hint}, or {LEAVE_OUT}")


def _weights(directory: Path) -> Mapping[str, Tensor]:
    """The tensors of the adapter, by name.

    Raises:
        AttnError: there are none, or the file is damaged.
    """
    path = next((directory / name for name in ADAPTER_FILES if (directory / name).exists()), None)
    if path is None:
        problem = f"the adapter {directory} has no weights: neither {' nor '.join(ADAPTER_FILES)}"
        raise AttnError(problem, f"download the adapter again, or {LEAVE_OUT}")
    tensors = open_file(checked_path(directory, path.name))
    if not tensors:
        raise AttnError(f"{path} has no tensors", f"save the adapter again, or {LEAVE_OUT}")
    return tensors


def _parts(tensors: Mapping[str, Tensor]) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """The matrices of each module, and the tensors that replace the base's.

    Raises:
        AttnError: a tensor is neither.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    whole: dict[str, Tensor] = {}
    for stored, tensor in tensors.items():
        name = stored.removeprefix("base_model.model.")
        if matched := _PART.fullmatch(name):
            end = ".bias" if matched["end"] == ".bias" else ""
            parts.setdefault(matched["module"], {})[matched["part"] + end] = tensor
        elif _OF_OTHERS.search(name):
            problem = f"{tensor.path} has a tensor that is not part of LoRA: {stored}"
            raise AttnError(problem, LEAVE_OUT)
        else:
            whole[_WRAPPED.sub("", name)] = tensor
    return parts, whole


def _low_rank(config: Config, module: str, tensors: Mapping[str, Tensor]) -> LowRank:
    """The change of one module.

    Raises:
        AttnError: a matrix is missing, or its rank is not the configuration's.
    """
    is_embedding = "lora_embedding_A" in tensors
    kind = "lora_embedding_" if is_embedding else "lora_"
    down, up = tensors.get(f"{kind}A"), tensors.get(f"{kind}B")
    if down is None or up is None:
        raise AttnError(
            f"the adapter {config.path.parent} has half of {module}: A or B is missing", LEAVE_OUT
        )
    rank = _setting(config, "rank_pattern", module, "r")
    alpha = _setting(config, "alpha_pattern", module, "lora_alpha")
    if down.shape[:1] != (rank,) or up.shape[1:] != (rank,) or len(down.shape) != 2:  # noqa: PLR2004
        found = f"{down.shape} and {up.shape}"
        problem = (
            f"the adapter {config.path.parent} gives {module} the rank {rank:g}, but A and B are {found}"
        )
        raise AttnError(problem, "check that adapter_config.json and the weights belong to the same adapter")
    scale = alpha / rank**0.5 if config.flag("use_rslora", default=False) else alpha / rank
    magnitude = tensors.get("lora_magnitude_vector")
    if (magnitude is not None) != config.flag("use_dora", default=False):
        problem = f"the adapter {config.path.parent} and its weights disagree about DoRA: {module}"
        raise AttnError(problem, LEAVE_OUT)
    return LowRank(down, up, scale, is_embedding, magnitude, tensors.get("lora_B.bias"))


def _setting(config: Config, pattern: str, module: str, name: str) -> float:
    """The rank or the alpha of a module: of the first pattern that matches its name, else of all modules.

    Raises:
        AttnError: it is not a number.
    """
    patterns = config.values.get(pattern) or {}
    if not isinstance(patterns, dict):
        raise config.unfit(pattern, what="an object")
    key = next((key for key in patterns if _matches(config, rf"(.*\.)?({key})$", module)), None)
    own = config if key is None else Config({name: patterns[key]}, config.path)
    return own.count(name, default=8) if name == "r" else own.number(name, default=8.0)  # PEFT's defaults


def _is_target(config: Config, module: str) -> bool:
    """Whether the configuration targets the module (`check_target_module_exists` of PEFT)."""
    if _is_named(config, "exclude_modules", module) or _is_saved_whole(config, module):
        return False
    targets = _names(config, "target_modules")
    if targets is None or targets == "all-linear":
        return True
    return _is_named(config, "target_modules", module) and (
        isinstance(targets, str) or _is_in_layers(config, module)
    )


def _is_named(config: Config, key: str, module: str) -> bool:
    """Whether the setting names the module: as an expression for its name, or as a list of its ends."""
    names = _names(config, key)
    if not names:
        return False
    if isinstance(names, str):
        return _matches(config, rf"(?:{names})\Z", module)
    return any(module == name or module.endswith(f".{name}") for name in names)


def _is_saved_whole(config: Config, module: str) -> bool:
    names = _names(config, "modules_to_save") or ()
    listed = (names,) if isinstance(names, str) else names
    return any(_matches(config, rf"(^|.*\.){name}($|\..*)", module) for name in listed)


def _is_in_layers(config: Config, module: str) -> bool:
    """Whether the module is in one of `layers_to_transform`.

    Raises:
        AttnError: the setting is neither a number nor a list of numbers.
    """
    said: object = config.values.get("layers_to_transform")
    layers = said if isinstance(said, list) else [said]
    if said is None or said == []:
        return True
    if not all(type(layer) is int for layer in layers):
        raise config.unfit("layers_to_transform", what="a number or a list of numbers")
    patterns = _names(config, "layers_pattern") or r"[^.]*"
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        start = r".*?\." if pattern == r"[^.]*" else r"(?:^|.*?\.)"
        matched = _match(config, rf"{start}{pattern}\.(?P<layer>\d+)\.", module)
        if matched is not None:
            return int(matched["layer"]) in layers
    return False


def _names(config: Config, key: str) -> str | Sequence[str] | None:
    """The setting: an expression, a list of names, or None.

    Raises:
        AttnError: it is something else.
    """
    names: object = config.values.get(key)
    if names is None or isinstance(names, str):
        return names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise config.unfit(key, what="a string or a list of strings")
    return names


def _matches(config: Config, pattern: str, name: str) -> bool:
    return _match(config, pattern, name) is not None


def _match(config: Config, pattern: str, name: str) -> re.Match[str] | None:
    """The match at the start of the name.

    Raises:
        AttnError: the pattern, which the configuration gives, is not a regular expression.
    """
    try:
        return re.match(pattern, name)
    except re.error as error:
        raise AttnError(f"{config.path} has a pattern that is not valid: {error}", LEAVE_OUT) from error
