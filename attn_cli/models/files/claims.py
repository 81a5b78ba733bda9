"""A number in config.json is a claim: it is compared with the files before transformers builds anything.

A configuration of a few bytes can ask for 100,000 layers or a matrix of 100 GB. What the files of weights
hold, as tensors and as bytes, bounds what is built. The files that transformers opens are checked like
those that attn opens itself.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.files.weights import Weights
from attn_cli.record import record

_TEXTS = frozenset({".json", ".jinja", ".model", ".py", ".txt"})
_WEIGHTS = frozenset({".bin", ".safetensors"})
_COUNTS = re.compile(r"(^|_)n?(layers?|experts|blocks|depths?|stages|codebooks)(_list)?$")
"""The keys that say how many modules there are."""

_FEWEST = 2_000  # modules, however few tensors there are: a second's work
_MODULES_A_TENSOR = 20
_UNKNOWN = 50_000  # modules, where the weights are not here: only tokens are read then
_SMALLEST = 2**25  # numbers in one parameter, however little the files hold: 130 MB
_PACKED = 8  # numbers in a byte, at most
_WIDTH = 30  # characters of a number that are shown
_HINT = "check that config.json and the weights belong to the same model"


class FalseClaimError(AttnError):
    """The configuration asks for more than the files hold."""


@record(frozen=True, slots=True)
class Held:
    """What the files of weights hold, if they are here."""

    directory: Path
    tensors: int | None = None
    size: int = 0  # in bytes

    @property
    def most_modules(self) -> int:
        """The number of modules that a model of these tensors can have."""
        return _UNKNOWN if self.tensors is None else _FEWEST + _MODULES_A_TENSOR * self.tensors

    def refusal(self, claim: str) -> FalseClaimError:
        """The error for a claim that the files do not bear out."""
        path = self.directory / "config.json"
        if self.tensors is None:
            return FalseClaimError(f"{path} asks for {claim}, but no model is so large", _HINT)
        held = f"{self.tensors:,} tensors, {self.size / 1e6:,.1f} MB"
        return FalseClaimError(f"{path} asks for {claim}, but the weights have {held}", _HINT)


def held_by(weights: Weights) -> Held:
    """What the files hold."""
    size = sum(path.stat().st_size for path in weights.files)
    return Held(weights.directory, len(weights.tensors), size)


def check_files(directory: Path) -> None:
    """Check every file of the checkpoint that transformers may open: no link leads out, no text is endless.

    Raises:
        AttnError: one is a link out of the checkpoint, not a regular file, or too large to be parsed.
    """
    for file in sorted(directory.iterdir()):
        if file.suffix in _TEXTS:
            checked_path(directory, file.name, LARGEST_TEXT)
        elif file.suffix in _WEIGHTS:
            checked_path(directory, file.name)


def check_counts(values: Mapping[str, Any], held: Held) -> None:
    """Check the numbers of layers, experts and the like in a configuration and in those inside it.

    Raises:
        FalseClaimError: one is larger than any model of these tensors has.
    """
    for name, value in values.items():
        if isinstance(value, dict):
            check_counts(value, held)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and number > held.most_modules and _COUNTS.search(str(name)):
                raise held.refusal(f"{name} {f'{number:,}'[:_WIDTH]}")


@contextmanager
def bounded_modules(held: Held) -> Iterator[None]:
    """Raise `FalseClaimError` inside as soon as more modules are built than a model of these tensors has."""
    from torch.nn.modules.module import register_module_module_registration_hook  # torch: 1.7 s

    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1
        if count > held.most_modules:
            raise held.refusal(f"more than {held.most_modules:,} modules")

    hook = register_module_module_registration_hook(counted)
    try:
        yield
    finally:
        hook.remove()


def check_sizes(sketch: Any, held: Held) -> None:
    """Check that the files could hold each parameter of the sketch.

    Raises:
        FalseClaimError: one has more numbers than all files have bits.
    """
    if held.tensors is None:
        return
    for name, parameter in sketch.named_parameters():
        if parameter.numel() > max(_SMALLEST, _PACKED * held.size):
            raise held.refusal(f"the tensor {name} of {parameter.numel():,} numbers")
