"""The parts of a checkpoint: configuration, weights and tokenizer, from a directory or a GGUF file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attn_cli.models.files.config import Config, read_config
from attn_cli.models.files.weights import Weights, open_weights
from attn_cli.models.tokens.open import open_tokenizer, tokenizer_directory
from attn_cli.models.tokens.token import Tokenizer
from attn_cli.record import record


class CheckpointFiles(Protocol):
    """The configuration of a checkpoint; its weights and its tokenizer are opened on demand."""

    @property
    def config(self) -> Config:
        """The configuration."""

    def weights(self, prefixes: Sequence[str], aliases: Mapping[str, str] | None) -> Weights:
        """The weights; `Weights` explains prefixes and aliases."""

    def tokenizer(self, *, trusts_code: bool = False) -> Tokenizer:
        """The tokenizer of the model; `trusts_code` allows a class in the checkpoint's own code."""


@record(frozen=True, slots=True)
class DirectoryFiles:
    """A checkpoint in a directory in Hugging Face layout."""

    directory: Path
    config: Config
    adapter: Path | None = None  # a directory whose tokenizer, if it has one, replaces the model's

    def weights(self, prefixes: Sequence[str], aliases: Mapping[str, str] | None) -> Weights:
        """Open the weights in the directory.

        Raises:
            AttnError: there are none, or a file is damaged.
        """
        return open_weights(self.directory, prefixes, aliases)

    def tokenizer(self, *, trusts_code: bool = False) -> Tokenizer:
        """Open the tokenizer of the adapter, or else the one in the directory.

        Raises:
            AttnError: there is none, or it cannot be read.
        """
        place = tokenizer_directory(self.directory, self.adapter)
        return open_tokenizer(place, trusts_code=trusts_code)


def open_files(path: Path, adapter: Path | None = None) -> CheckpointFiles:
    """Open the checkpoint in a directory in Hugging Face layout, or in a `.gguf` file.

    `adapter` is the directory of an adapter of it.

    Raises:
        AttnError: the configuration cannot be read.
    """
    if path.is_file():
        from attn_cli.models.gguf.model import open_gguf  # NumPy and gguf: 0.2 s

        return open_gguf(path)
    return DirectoryFiles(path, read_config(path), adapter)
