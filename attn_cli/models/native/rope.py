"""Which rotary embedding a config asks for: RoPE's frequencies, and the variants for longer texts.

The formulas and their order are those of `modeling_rope_utils.py` in transformers, in float32 as
there: a frequency that is off by one rounding is 0.0002 radians off at position 4096.
"""

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.positions import Rotary
from attn_cli.errors import AttnError
from attn_cli.record import record

Frequencies: TypeAlias = npt.NDArray[np.floating]
"""(R/2,) float32, radians a position."""

_PLACES = ("rope_parameters", "rope_scaling", "rope_theta")
_HINT = "check rope_parameters, or rope_scaling, in the config"


@record(frozen=True, slots=True)
class _Request:
    """What a config says of its rotary embedding, and how much there is to turn."""

    values: Mapping[str, Any]
    size: int  # R, how many features of a head turn
    length: int  # T, how many tokens the text has

    def number(self, name: str, default: float | None = None) -> float:
        """The positive number `name`; null is as good as absent."""
        return _number(self.values, name, default)

    def numbers(self, name: str) -> Frequencies:
        """(R/2,) the list `name`, one positive number for each pair of features."""
        found, pairs = self.values.get(name), len(range(0, self.size, 2))
        if isinstance(found, list) and len(found) == pairs and all(map(_is_positive, found)):
            return np.asarray(found, dtype=np.float32)
        raise _unusable(name, f"{pairs} positive numbers", found)


_Variant: TypeAlias = Callable[[_Request], tuple[Frequencies, float]]


def rotary(
    config: Mapping[str, Any],
    head_size: int,
    length: int,
    *,
    interleaved: bool = False,
    is_whole: bool = False,
) -> Rotary:
    """The rotary embedding that `config`, a parsed config.json of the Llama kind, asks for.

    Read from `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (before). The
    frequencies of `dynamic` and `longrope` depend on `length`, how many tokens the text has. `is_whole`:
    the family turns whole heads and does not read `partial_rotary_factor` (`modeling_llama.py`).

    Raises:
        AttnError: the type is unknown, or a number is missing or not usable.
    """
    own = _own_parameters(config)
    name = own.get("rope_type") or own.get("type") or "default"
    values = _inherited(config) | own | _trained_length(config, own)
    if is_whole and values.pop("partial_rotary_factor", 1) != 1 and name != "default":
        problem = f"the rotary embedding {name} is to turn a part of each head, and this family turns all"
        raise AttnError(problem, _HINT)
    frequencies, gain = _computed(name, values, head_size, length)
    if 2 * len(frequencies) > head_size:
        problem = f"{2 * len(frequencies)} features cannot turn in a head of {head_size}"
        raise AttnError(problem, "check head_dim and partial_rotary_factor in the config")
    return Rotary(frequencies, gain, interleaved)


def of_kind(
    config: Mapping[str, Any], kind: str, theta: float, scaling: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """`config` as the layers of one kind read it: `rope_parameters` may hold an object for each kind.

    `theta` and `scaling` are what an older config says of this kind in other places.

    Raises:
        AttnError: one of them is no object.
    """
    nested = config.get("rope_parameters")
    own = nested.get(kind) if isinstance(nested, Mapping) else None
    rest = {name: value for name, value in config.items() if name not in _PLACES}
    for given in (scaling, own):
        if given is not None and not isinstance(given, Mapping):
            raise AttnError(f"the rotary parameters are not an object: {reprlib.repr(given)}", _HINT)
    return rest | {"rope_parameters": {"rope_theta": theta} | dict(scaling or {}) | dict(own or {})}


def _computed(name: Any, values: Mapping[str, Any], head_size: int, length: int) -> tuple[Frequencies, float]:
    """What the variant `name` makes of `values`: a config may hold anything, zeros too."""
    if name not in list(_VARIANTS):  # a list: what stands in a config need not be hashable
        problem = f"the config asks for an unknown rotary embedding: {reprlib.repr(name)}"
        raise AttnError(problem, f"use a model with one of {', '.join(_VARIANTS)}")
    try:
        size = int(head_size * _number(values, "partial_rotary_factor", 1.0))
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            return _VARIANTS[name](_Request(values, size, length))
    except ArithmeticError as error:
        problem = f"the rotary embedding {name} cannot be computed: it divides by zero or overflows"
        raise AttnError(problem, _HINT) from error


def _own_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The object that names the rope type; as in transformers the older one wins where both stand."""
    own = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if not isinstance(own, Mapping):
        raise AttnError(f"the rotary parameters are not an object: {reprlib.repr(own)}", _HINT)
    nested = [key for key, value in own.items() if isinstance(value, Mapping)]
    if nested:
        problem = f"the rotary embedding differs between kinds of layers: {', '.join(nested)}"
        raise AttnError(problem, "pass the parameters of one kind as rope_parameters")
    return {key: value for key, value in own.items() if value is not None}


def _inherited(config: Mapping[str, Any]) -> dict[str, Any]:
    """What may stand at the top of the config; the object's own values go before it."""
    names = ("rope_theta", "partial_rotary_factor")
    return {name: config[name] for name in names if config.get(name) is not None}


def _trained_length(config: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """How many positions the model knows, and knew before it was stretched: the top goes first here."""
    known, original = "max_position_embeddings", "original_max_position_embeddings"
    longest = config.get(known)
    return {known: longest, original: config.get(original) or own.get(original) or longest}


def _number(values: Mapping[str, Any], name: str, default: float | None = None) -> float:
    found = values.get(name)
    value = default if found is None else found
    if value is None or not _is_positive(value):
        raise _unusable(name, "a positive number", found)
    return float(value)


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < float(value) < math.inf


def _unusable(name: str, wanted: str, found: object) -> AttnError:
    has = "none" if found is None else reprlib.repr(found)
    return AttnError(f"the rotary embedding needs {name}, {wanted}: the config has {has}", _HINT)


def _default(asked: _Request) -> tuple[Frequencies, float]:
    """θ^(-2r/R) for pair r: Su et al. 2021, arXiv:2104.09864, section 3.2.2."""
    return 1 / _periods(asked), 1.0


def _linear(asked: _Request) -> tuple[Frequencies, float]:
    """Positions squeezed together by `factor`: Chen et al. 2023, arXiv:2306.15595."""
    return 1 / _periods(asked) / asked.number("factor"), 1.0


def _dynamic(asked: _Request) -> tuple[Frequencies, float]:
    """NTK-aware: θ grows with a text that is longer than the model knows.

    By bloc97 and emozilla, 2023; described in arXiv:2309.00071, sections 3.1 and 3.3.
    """
    factor, known = asked.number("factor"), asked.number("max_position_embeddings")
    stretch = factor * max(asked.length, known) / known - (factor - 1)
    return 1 / _periods(asked, stretch ** (asked.size / (asked.size - 2))), 1.0


def _yarn(asked: _Request) -> tuple[Frequencies, float]:
    """Fast pairs kept, slow ones squeezed, a ramp between: YaRN, Peng et al. 2023, arXiv:2309.00071."""
    periods, factor = _periods(asked), _stretch(asked)
    low, high = _yarn_ramp(asked)
    ramp = (np.arange(len(periods), dtype=np.float32) - low) / (high - low)
    kept = 1 - np.clip(ramp, 0, 1)
    return 1 / (factor * periods) * (1 - kept) + 1 / periods * kept, _yarn_gain(asked, factor)


def _yarn_ramp(asked: _Request) -> tuple[float, float]:
    """The pairs between which the ramp runs: those that turn `beta_fast` and `beta_slow` times."""
    theta, original = _theta(asked), asked.number("original_max_position_embeddings")

    def pair(turns: float) -> float:
        return asked.size * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = pair(asked.number("beta_fast", 32)), pair(asked.number("beta_slow", 1))
    if asked.values.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, asked.size - 1)
    return low, high if high != low else high + 0.001


def _yarn_gain(asked: _Request, factor: float) -> float:
    """0.1 · ln(factor) + 1; DeepSeek sets the slopes of a numerator and a denominator."""

    def gain(slope: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * slope * math.log(factor) + 1

    if asked.values.get("attention_factor") is not None:
        return asked.number("attention_factor")
    if asked.values.get("mscale") and asked.values.get("mscale_all_dim"):
        return gain(asked.number("mscale")) / gain(asked.number("mscale_all_dim"))
    return gain(1)


def _longrope(asked: _Request) -> tuple[Frequencies, float]:
    """A learned factor for every pair, short texts and long: Ding et al. 2024, arXiv:2402.13753."""
    original, factor = asked.number("original_max_position_embeddings"), _stretch(asked)
    factors = asked.numbers("long_factor" if asked.length > original else "short_factor")
    gain = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))
    return 1 / (factors * _periods(asked)), asked.number("attention_factor", gain)


def _llama3(asked: _Request) -> tuple[Frequencies, float]:
    """Slow pairs squeezed by `factor`, fast ones kept: Llama 3.1, arXiv:2407.21783.

    The bounds are wavelengths: `original_max_position_embeddings` over `low_freq_factor` and over
    `high_freq_factor`; between them the two are mixed.
    """
    factor, original = asked.number("factor"), asked.number("original_max_position_embeddings")
    low, high = asked.number("low_freq_factor"), asked.number("high_freq_factor")
    plain = 1 / _periods(asked)
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
    "su": _longrope,  # what the first Phi-3 checkpoints call it (`configuration_phi3.py`)
    "llama3": _llama3,
}


def _theta(asked: _Request) -> float:
    return asked.number("rope_theta", 10000.0)


def _periods(asked: _Request, stretch: float = 1.0) -> Frequencies:
    """(R/2,) θ^(2r/R): positions a radian."""
    exponents = np.arange(0, asked.size, 2, dtype=np.float32) / asked.size
    periods: Frequencies = (_theta(asked) * stretch) ** exponents
    return periods


def _stretch(asked: _Request) -> float:
    """By how much a text may outgrow the original; without `factor` (Phi-3, DeepSeek) the ratio."""
    if asked.values.get("factor") is not None:
        return asked.number("factor")
    return asked.number("max_position_embeddings") / asked.number("original_max_position_embeddings")
