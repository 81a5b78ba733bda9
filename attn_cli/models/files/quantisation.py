"""How the weights of a checkpoint are quantised, and which package reads them.

The configuration names the method (`quantization_config`), or the names of the tensors show it.
"""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config
from attn_cli.record import record

FP8 = "fp8"
"""Blocks of 8-bit floats with a scale each: the only method that the native code reads."""

_PLAIN = "use a checkpoint that is not quantised"


@record(frozen=True, slots=True)
class _Method:
    """A method of quantisation, and the packages that transformers reads it with."""

    name: str
    packages: tuple[tuple[str, str], ...] = ()  # the module to import, and the package to install


_GPTQMODEL = ("gptqmodel", "gptqmodel")
_METHODS = {
    FP8: _Method("FP8"),
    "mxfp8": _Method("MXFP8"),
    "mxfp4": _Method("MXFP4"),
    "bitnet": _Method("BitNet"),
    "bitsandbytes": _Method("bitsandbytes", (("bitsandbytes", "bitsandbytes"),)),
    "awq": _Method("AWQ", (_GPTQMODEL,)),
    "gptq": _Method("GPTQ", (_GPTQMODEL, ("optimum", "optimum"))),
    "compressed-tensors": _Method("compressed-tensors", (("compressed_tensors", "compressed-tensors"),)),
    "hqq": _Method("HQQ", (("hqq", "hqq"),)),
    "torchao": _Method("torchao", (("torchao", "torchao"),)),
    "quanto": _Method("Quanto", (("optimum.quanto", "optimum-quanto"),)),
    "aqlm": _Method("AQLM", (("aqlm", "aqlm"),)),
    "quark": _Method("Quark", (("quark", "amd-quark"),)),
    "vptq": _Method("VPTQ", (("vptq", "vptq"),)),
    "spqr": _Method("SpQR", (("spqr_quant", "spqr_quant"),)),
    "auto-round": _Method("AutoRound", (("auto_round", "auto-round"),)),
    "eetq": _Method("EETQ", (("kernels", "kernels"),)),
    "higgs": _Method("HIGGS", (("flute", "flute-kernel"),)),
    "fp_quant": _Method("FP-Quant", (("fp_quant", "fp_quant"),)),
    "sinq": _Method("SINQ", (("sinq", "sinq"),)),
    "fbgemm_fp8": _Method("FBGEMM FP8", (("fbgemm_gpu", "fbgemm-gpu"),)),
}
"""The methods that transformers reads, by `quant_method`."""

_ENDINGS = {
    ".qzeros": "GPTQ or AWQ",
    ".qweight": "GPTQ or AWQ",
    ".SCB": "bitsandbytes with 8 bits",
    ".absmax": "bitsandbytes with 4 bits",
    ".weight_packed": "compressed-tensors",
    ".W_q": "HQQ",
    "_blocks": "MXFP4",
    ".weight_scale_inv": "FP8",
    ".weight_scale": "FP8 or INT8 with scales",
    ".weight._scale": "Quanto",
    ".scales": "MLX",
}
"""Ends of tensor names that only one method has, the most telling first."""


def quantisation(config: Config) -> str:
    """The `quant_method` of a quantised checkpoint.

    Raises:
        AttnError: the method cannot be read here: transformers lacks it, or a package is missing.
    """
    method = _method(config.values)
    if method not in _METHODS:
        raise AttnError(f"{config.path.parent} is quantised with {method}, which cannot be read here", _PLAIN)
    _check_packages(config, _METHODS[method])
    return method


def _method(values: Mapping[str, Any]) -> str:
    """The method that the configuration says, or what it says instead."""
    if values.get("compression_config"):  # of older checkpoints
        return "compressed-tensors"
    said: Any = values.get("quantization_config") or values.get("quantization")
    if not isinstance(said, dict):
        return "an unknown method"
    if said.get("quant_method") is not None:
        return str(said["quant_method"])
    if {"load_in_8bit", "load_in_4bit"} & said.keys():
        return "bitsandbytes"
    return "MLX" if {"group_size", "bits"} <= said.keys() else "an unknown method"


def remark_of(method: str) -> str:
    """What to know of the numbers of a quantised checkpoint."""
    how = "they are multiplied by their scales, and activations are not quantised"
    runs = how if method == FP8 else "transformers runs them so"
    return f"the weights are quantised ({_METHODS[method].name}): {runs}"


def quantised_by(names: Iterable[str]) -> str | None:
    """The method that the names of the tensors show; None if they show none."""
    ends = tuple(_ENDINGS)
    found = {end for name in names if name.endswith(ends) for end in ends if name.endswith(end)}
    return next((_ENDINGS[end] for end in ends if end in found), None)


def _check_packages(config: Config, method: _Method) -> None:
    """Raise `AttnError` if a package that reads the method is not installed."""
    for module, package in method.packages:
        if not _is_installed(module):
            what = f"{config.path.parent} is quantised with {method.name}"
            hint = f"pip install {package}, or {_PLAIN}"
            raise AttnError(f"{what}, and the package {package} is missing", hint)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package of a module with a dot
        return False
