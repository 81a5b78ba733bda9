"""Opens the tokenizer in a directory: `tokenizer.json`, or files in an older format."""

from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.files.impostors import check_file
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.tokens.fast import FastTokenizer, tokenizer_errors
from attn_cli.models.tokens.token import Tokenizer

_VOCABULARIES = ("vocab.*", "merges.txt", "*.model", "*.spm", "*.codes", "*.tiktoken")
_OLDER = (
    *_VOCABULARIES,
    "tokenizer_config.json",  # byte and character tokenizers have no vocabulary file
)


def has_tokenizer(directory: Path) -> bool:
    """Whether the directory has a tokenizer with a vocabulary."""
    return any(file for name in ("tokenizer.json", *_VOCABULARIES) for file in directory.glob(name))


def open_tokenizer(directory: Path, *, trusts_code: bool = False) -> Tokenizer:
    """Open the tokenizer in `directory`; `trusts_code` allows a tokenizer class in the checkpoint's own code.

    Raises:
        AttnError: there is none, or it cannot be read.
    """
    path = checked_path(directory, "tokenizer.json", LARGEST_TEXT)
    if not path.is_file():
        if not any(file for pattern in _OLDER for file in directory.glob(pattern)):
            hint = "save it with transformers: AutoTokenizer.from_pretrained(...).save_pretrained(...)"
            raise AttnError(f"{directory} has no tokenizer: neither tokenizer.json nor an older file", hint)
        for file in (file for pattern in _VOCABULARIES for file in directory.glob(pattern)):
            check_file(file)
        from attn_cli.models.tokens.slow import open_slow_tokenizer  # transformers and torch: 3 s

        return open_slow_tokenizer(directory, trusts_code=trusts_code)
    import tokenizers  # 0.03 s

    try:
        with tokenizer_errors(f"{path} is not a valid tokenizer"):
            return FastTokenizer(tokenizers.Tokenizer.from_file(str(path)))
    except AttnError:
        check_file(path)
        raise
