"""Reads the rotary position embedding (RoPE) of a config: its frequencies, and the variants for long texts.

The formulas follow `modeling_rope_utils.py` in transformers, in the same order of operations and in float32:
one rounding error in a frequency is 0.0002 radians at position 4096. A model in float64 has them in float64.
"""

import math
import reprlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.positions import Rotary
from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config
from attn_cli.record import record

Frequencies: TypeAlias = npt.NDArray[np.floating]
"""(R/2,) float32, or float64 for a model in float64, in radians per position."""

_ROPE_KEYS = ("rope_parameters", "rope_scaling", "rope_theta")
_PARAMETERS = frozenset(
    [
        "rope_type",
        "type",
        "rope_theta",
        "factor",
        "partial_rotary_factor",
        "original_max_position_embeddings",
        "finetuned",
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "mscale",
        "mscale_all_dim",
        "truncate",
        "short_factor",
        "long_factor",
        "short_mscale",
        "long_mscale",
        "low_freq_factor",
        "high_freq_factor",
    ]
)
_HINT = "check rope_parameters, or rope_scaling, in the config"


@record(frozen=True, slots=True)
class _RopeParameters:
    """The config's RoPE parameters, and the number of features and tokens."""

    values: Mapping[str, Any]
    size: int  # R, the number of rotated features per head
    length: int  # T, the number of tokens in the text
    precision: type[np.floating[Any]] = np.float32

    def number(self, name: str, default: float | None = None) -> float:
        """The positive number `name`; null counts as absent."""
        return _number(self.values, name, default)

    def numbers(self, name: str) -> Frequencies:
        """(R/2,) the list `name`, one positive number per pair of features."""
        listed, pairs = self.values.get(name), len(range(0, self.size, 2))
        if isinstance(listed, list) and len(listed) == pairs and all(map(_is_positive, listed)):
            return np.asarray(listed, dtype=self.precision)
        raise _unusable(name, f"{pairs} positive numbers", listed)


_Variant: TypeAlias = Callable[[_RopeParameters], tuple[Frequencies, float]]


def read_rotary(
    config: Mapping[str, Any],
    head_size: int,
    length: int,
    *,
    interleaved: bool = False,
    is_whole: bool = False,
) -> Rotary:
    """The rotary embedding of `config`, a parsed config.json in Llama's format.

    It is read from `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (before). The
    frequencies of `dynamic` and `longrope` depend on `length`, the number of tokens in the text. `is_whole`:
    the family rotates whole heads and ignores `partial_rotary_factor` (`modeling_llama.py`).

    Raises:
        AttnError: the type is unknown, or a number is missing or invalid.
    """
    given = _rope_object(config)
    name = given.get("rope_type") or given.get("type") or "default"
    values = _top_level_values(config) | given | _trained_length(config, given)
    if is_whole and values.pop("partial_rotary_factor", 1) != 1 and name != "default":
        problem = f"rotary embedding {name} with partial_rotary_factor: this family rotates whole heads"
        raise AttnError(problem, _HINT)
    frequencies, gain = _compute(name, values, head_size, length)

    def exact() -> Frequencies:
        return _compute(name, values, head_size, length, np.float64)[0]

    if 2 * len(frequencies) > head_size:
        problem = f"{2 * len(frequencies)} features cannot be rotated in a head of {head_size}"
        raise AttnError(problem, "check head_dim and partial_rotary_factor in the config")
    return Rotary(frequencies, gain, interleaved, exact)


def unknown_parameters(config: Mapping[str, Any]) -> Iterator[str]:
    """The RoPE parameters of the config that are not known here, and an unknown type, by their full names.

    The parameters may be listed by layer type.
    """
    for place in ("rope_scaling", "rope_parameters"):
        given = config.get(place)
        for name, value in given.items() if isinstance(given, Mapping) else ():
            if isinstance(value, Mapping):
                yield from (f"{place}.{name}.{key}" for key in _unknown_in(value))
        yield from (f"{place}.{key}" for key in _unknown_in(given))


def _unknown_in(given: Any) -> Iterator[str]:
    for name, value in given.items() if isinstance(given, Mapping) else ():
        is_known = name in _PARAMETERS or value is None or isinstance(value, Mapping)
        is_other_type = name in ("rope_type", "type") and isinstance(value, str) and value not in _VARIANTS
        if not is_known or is_other_type:
            yield f"{name} {reprlib.repr(value)}" if is_other_type else name


def check_one_rope(config: Config) -> None:
    """Check that RoPE parameters by layer type are given once, and under their names in transformers 5.

    `rope_scaling` changes `rope_parameters` there, and "type" is another key than "rope_type".

    Raises:
        NotNativeError: they are given in another way.
    """
    scaling = config.values.get("rope_scaling")
    if isinstance(scaling, Mapping) and ("rope_type" not in scaling or config.has("rope_parameters")):
        raise config.not_native("rope_scaling", what="an object with a rope_type, without rope_parameters")


def of_layer_type(
    config: Mapping[str, Any], layer_type: str, theta: float, scaling: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """`config` with the RoPE parameters of one layer type, which `rope_parameters` may list by type.

    `theta` and `scaling` are the parameters of this type in an older config.

    Raises:
        AttnError: the parameters are not an object.
    """
    by_type = config.get("rope_parameters")
    given = by_type.get(layer_type) if isinstance(by_type, Mapping) else None
    rest = {name: value for name, value in config.items() if name not in _ROPE_KEYS}
    for values in (scaling, given):
        if values is not None and not isinstance(values, Mapping):
            raise AttnError(f"the rotary parameters are not an object: {reprlib.repr(values)}", _HINT)
    return rest | {"rope_parameters": {"rope_theta": theta} | dict(scaling or {}) | dict(given or {})}


def _compute(
    name: Any,
    values: Mapping[str, Any],
    head_size: int,
    length: int,
    precision: type[np.floating[Any]] = np.float32,
) -> tuple[Frequencies, float]:
    """Compute the variant `name` from `values`, which are unchecked and may be zero."""
    if name not in list(_VARIANTS):  # a list: the config's value may be unhashable
        problem = f"the config has an unknown rotary embedding: {reprlib.repr(name)}"
        raise AttnError(problem, f"use a model with one of {', '.join(_VARIANTS)}")
    try:
        size = int(head_size * _number(values, "partial_rotary_factor", 1.0))
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            return _VARIANTS[name](_RopeParameters(values, size, length, precision))
    except ArithmeticError as error:
        problem = f"the rotary embedding {name} cannot be computed: it divides by zero or overflows"
        raise AttnError(problem, _HINT) from error


def _rope_object(config: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the RoPE type; if both exist the older one takes precedence, as in transformers."""
    given = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if not isinstance(given, Mapping):
        raise AttnError(f"the rotary parameters are not an object: {reprlib.repr(given)}", _HINT)
    nested = [key for key, value in given.items() if isinstance(value, Mapping)]
    if nested:
        problem = f"the rotary embedding differs between layer types: {', '.join(nested)}"
        raise AttnError(problem, "pass the parameters of one type as rope_parameters")
    return {key: value for key, value in given.items() if value is not None}


def _top_level_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters at the top level of the config; those in the RoPE object take precedence."""
    names = ("rope_theta", "partial_rotary_factor")
    return {name: config[name] for name in names if config.get(name) is not None}


def _trained_length(config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The number of positions now and before extension; here the top level takes precedence."""
    known, original = "max_position_embeddings", "original_max_position_embeddings"
    longest = config.get(known)
    return {known: longest, original: config.get(original) or given.get(original) or longest}


def _number(values: Mapping[str, Any], name: str, default: float | None = None) -> float:
    given = values.get(name)
    value = default if given is None else given
    if value is None or not _is_positive(value):
        raise _unusable(name, "a positive number", given)
    return float(value)


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < float(value) < math.inf


def _unusable(name: str, needed: str, given: object) -> AttnError:
    has = "none" if given is None else reprlib.repr(given)
    return AttnError(f"the rotary embedding needs {name}, {needed}: the config has {has}", _HINT)


def _default(rope: _RopeParameters) -> tuple[Frequencies, float]:
    """θ^(-2r/R) for pair r: Su et al. 2021, arXiv:2104.09864, section 3.2.2."""
    return 1 / _periods(rope), 1.0


def _linear(rope: _RopeParameters) -> tuple[Frequencies, float]:
    """Positions divided by `factor`: Chen et al. 2023, arXiv:2306.15595."""
    return 1 / _periods(rope) / rope.number("factor"), 1.0


def _dynamic(rope: _RopeParameters) -> tuple[Frequencies, float]:
    """Dynamic NTK: θ grows once the text is longer than `max_position_embeddings`.

    By bloc97 and emozilla, 2023; described in arXiv:2309.00071, sections 3.1 and 3.3.
    """
    factor, known = rope.number("factor"), rope.number("max_position_embeddings")
    stretch = factor * max(rope.length, known) / known - (factor - 1)
    return 1 / _periods(rope, stretch ** (rope.size / (rope.size - 2))), 1.0


def _yarn(rope: _RopeParameters) -> tuple[Frequencies, float]:
    """High frequencies kept, low ones divided, a ramp between: YaRN, Peng et al. 2023, arXiv:2309.00071."""
    periods, factor = _periods(rope), _stretch(rope)
    low, high = _yarn_ramp(rope)
    ramp = (np.arange(len(periods), dtype=rope.precision) - low) / (high - low)
    kept = 1 - np.clip(ramp, 0, 1)
    return 1 / (factor * periods) * (1 - kept) + 1 / periods * kept, _yarn_gain(rope, factor)


def _yarn_ramp(rope: _RopeParameters) -> tuple[float, float]:
    """The ends of the ramp: the pairs that make `beta_fast` and `beta_slow` turns in the original length."""
    theta, original = _theta(rope), rope.number("original_max_position_embeddings")

    def pair(turns: float) -> float:
        return rope.size * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = pair(rope.number("beta_fast", 32)), pair(rope.number("beta_slow", 1))
    if rope.values.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rope.size - 1)
    return low, high if high != low else high + 0.001


def _yarn_gain(rope: _RopeParameters, factor: float) -> float:
    """0.1 · ln(factor) + 1; DeepSeek uses a ratio of two such gains, with a slope (`mscale`) for each."""

    def gain(slope: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * slope * math.log(factor) + 1

    if rope.values.get("attention_factor") is not None:
        return rope.number("attention_factor")
    if rope.values.get("mscale") and rope.values.get("mscale_all_dim"):
        return gain(rope.number("mscale")) / gain(rope.number("mscale_all_dim"))
    return gain(1)


def _longrope(rope: _RopeParameters) -> tuple[Frequencies, float]:
    """One factor per pair, in separate lists for short and long texts: Ding et al. 2024, arXiv:2402.13753."""
    original, factor = rope.number("original_max_position_embeddings"), _stretch(rope)
    factors = rope.numbers("long_factor" if rope.length > original else "short_factor")
    gain = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))
    return 1 / (factors * _periods(rope)), rope.number("attention_factor", gain)


def _llama3(rope: _RopeParameters) -> tuple[Frequencies, float]:
    """Low frequencies divided by `factor`, high ones kept: Llama 3.1, arXiv:2407.21783.

    The bounds are wavelengths: `original_max_position_embeddings` divided by `low_freq_factor` and by
    `high_freq_factor`; between them the two are interpolated.
    """
    factor, original = rope.number("factor"), rope.number("original_max_position_embeddings")
    low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    plain = 1 / _periods(rope)
    wavelength = 2 * math.pi / plain
    smooth = (original / wavelength - low) / (high - low)
    mixed = (1 - smooth) * plain / factor + smooth * plain
    ends = np.where(wavelength > original / low, plain / factor, plain)
    is_between = (wavelength >= original / high) & (wavelength <= original / low)
    return np.where(is_between, mixed, ends), 1.0


_VARIANTS: dict[str, _Variant] = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "yarn": _yarn,
    "longrope": _longrope,
    "su": _longrope,  # its name in the first Phi-3 checkpoints (`configuration_phi3.py`)
    "llama3": _llama3,
}


def _theta(rope: _RopeParameters) -> float:
    return rope.number("rope_theta", 10000.0)


def _periods(rope: _RopeParameters, stretch: float = 1.0) -> Frequencies:
    """(R/2,) θ^(2r/R), in positions per radian."""
    exponents = np.arange(0, rope.size, 2, dtype=rope.precision) / rope.size
    periods: Frequencies = (_theta(rope) * stretch) ** exponents
    return periods


def _stretch(rope: _RopeParameters) -> float:
    """The extension factor: `factor`, or without it (Phi-3, DeepSeek) the ratio of the two lengths."""
    if rope.values.get("factor") is not None:
        return rope.number("factor")
    return rope.number("max_position_embeddings") / rope.number("original_max_position_embeddings")
