"""What a checkpoint is made of, whatever files it lies in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from attn_cli.models.files.config import Config, read_config
from attn_cli.models.files.weights import Weights, open_weights
from attn_cli.models.tokens.fast import Cutter, open_tokenizer

Open: TypeAlias = Callable[[Sequence[str], Mapping[str, str] | None], Weights]
"""The prefixes and aliases of a family (`Weights` says what they are) to its weights."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The configuration; the weights and the tokenizer, which are opened when they are asked for."""

    config: Config
    weights: Open
    tokenizer: Callable[[], Cutter]


def parts(path: Path) -> Parts:
    """The parts of the checkpoint in a directory in Hugging Face layout, or in a `.gguf` file.

    Raises:
        AttnError: the configuration cannot be read.
    """
    if path.is_file():
        from attn_cli.models.gguf.model import gguf_parts  # NumPy and gguf: 0.2 s

        return gguf_parts(path)
    return Parts(read_config(path), partial(open_weights, path), partial(open_tokenizer, path))
