"""Reads `config.json`; the type of every value is checked before it is used."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.safe_paths import LARGEST_CONFIG, checked_path
from attn_cli.record import record

ADAPTER_CONFIG = "adapter_config.json"
"""The configuration of an adapter of PEFT, alone or beside its base."""

_RELOAD = "download the model again, or repair the file"


class NotNativeError(AttnError):
    """The native code does not support this variant of the family: the bridge is used instead."""

    def __init__(self, problem: str, hint: str = "load the model through transformers") -> None:
        super().__init__(problem, hint)


_OF_QUANTISATION = ("quantization_config", "compression_config", "quantization")
MOST_LAYERS = 10_000
"""More than any model has; the deepest of Wang et al. 2022 (arXiv:2203.00555) has 2,500."""

_WHOLE = 1 << 63  # JSON integers are unbounded; no valid count is this large


@record(frozen=True, slots=True)
class Config:
    """The values of a model's `config.json`, by name; of several names the first one present is used.

    Each reader raises `AttnError` if the value is missing and has no default, or is of the wrong type.
    """

    values: Mapping[str, Any]
    path: Path

    def integer(self, *names: str, default: int | None = None) -> int:
        """A whole number of at least 0."""
        value = self._find(names, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _WHOLE:
            raise self._unfit(names, value, "a whole number")
        return value

    def count(self, *names: str, default: int | None = None) -> int:
        """A whole number of at least 1."""
        value = self.integer(*names, default=default)
        if value < 1:
            raise self._unfit(names, value, "1 or more")
        return value

    def layers(self, *names: str, default: int | None = None) -> int:
        """A number of layers, at most `MOST_LAYERS`: lists of them are built before the weights are read."""
        value = self.count(*names, default=default)
        if value > MOST_LAYERS:
            raise self._unfit(names, value, f"{MOST_LAYERS:,} or fewer")
        return value

    def either(self, general: str, own: str) -> tuple[str, str]:
        """A general name (`hidden_size`) and the family's own (`n_embd`), for a reader.

        Raises:
            NotNativeError: both have values, which differ: which one counts depends on the version of
                transformers.
        """
        if self.has(general) and self.has(own) and self.values[general] != self.values[own]:
            raise self.not_native(general, what=f"{own} {_short(self.values[own])}")
        return general, own

    def heads(self, *names: str, width: int, of: str = "hidden_size") -> int:
        """The number of heads, a divisor of `width`; `of` is the config's name for the width."""
        value = self.count(*names)
        if width % value:
            raise self.unfit(*names, what=f"a divisor of {of} {width}")
        return value

    def number(self, *names: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._find(names, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not abs(value) <= sys.float_info.max:  # JSON integers are unbounded
            raise self._unfit(names, value, "a number")
        return float(value)

    def text(self, *names: str, default: str | None = None) -> str:
        """A string."""
        value = self._find(names, default)
        if not isinstance(value, str):
            raise self._unfit(names, value, "a string")
        return value

    def flag(self, *names: str, default: bool) -> bool:
        """True or false."""
        value = self._find(names, default)
        if not isinstance(value, bool):
            raise self._unfit(names, value, "true or false")
        return value

    def has(self, name: str) -> bool:
        """Whether the value is present and not null."""
        return self.values.get(name) is not None

    @property
    def is_quantised(self) -> bool:
        """Whether it says how the weights are quantised."""
        return any(self.values.get(name) for name in _OF_QUANTISATION)

    def unfit(self, *names: str, what: str) -> AttnError:
        """The error for a value of the right type that cannot be used."""
        return self._unfit(names, self.values.get(self._given(names)), what)

    def not_native(self, *names: str, what: str) -> AttnError:
        """The error for a valid value that the native code does not support; transformers may support it."""
        unfit = self._unfit(names, self.values.get(self._given(names)), what)
        return NotNativeError(unfit.problem)

    def _find(self, names: tuple[str, ...], default: object) -> Any:
        value = self.values.get(self._given(names))
        if value is None and default is None:
            raise DamagedFileError(f"{self.path} has no {names[0]}", _RELOAD, self.path)
        return default if value is None else value

    def _given(self, names: tuple[str, ...]) -> str:
        """The first of the names that has a value; null counts as absent."""
        return next((name for name in names if self.values.get(name) is not None), names[0])

    def _unfit(self, names: tuple[str, ...], value: object, what: str) -> AttnError:
        name = self._given(names)
        problem = f"{self.path} says {name} is {_short(value)}, which is not {what}"
        return DamagedFileError(problem, _RELOAD, self.path)


def read_config(directory: Path) -> Config:
    """Read the configuration of the model in `directory`.

    Raises:
        AttnError: there is none, or it is not a JSON object.
    """
    path = checked_path(directory, "config.json", LARGEST_CONFIG)
    return Config(read_json(path), path)


def read_adapter_config(directory: Path) -> Config:
    """Read the configuration of the adapter in `directory`.

    Raises:
        AttnError: as `read_config`.
    """
    path = checked_path(directory, ADAPTER_CONFIG, LARGEST_CONFIG)
    return Config(read_json(path), path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file.

    Raises:
        AttnError: the file cannot be read, or contains something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AttnError(f"{path} cannot be read: {error.strerror}", "check the model's directory") from error
    except (ValueError, RecursionError) as error:
        from attn_cli.models.files.impostors import check_file  # only this error needs it

        check_file(path)
        raise DamagedFileError(f"{path} is not JSON: {error}", _RELOAD, path) from error
    if not isinstance(value, dict):
        problem = f"{path} contains a JSON {type(value).__name__}, not an object"
        raise DamagedFileError(problem, _RELOAD, path)
    return value


def _short(value: object) -> str:
    """The value as JSON, truncated to 40 characters."""
    limit, text = 40, ""
    for part in json.JSONEncoder().iterencode(value):  # a long list is not written out
        text += part[: limit + 1]
        if len(text) > limit:
            break
    return text if len(text) <= limit else text[: limit - 1] + "…"
