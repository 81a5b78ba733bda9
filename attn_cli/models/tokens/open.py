"""Opens the tokenizer in a directory: its `tokenizer.json`, or files in an older format."""

from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.tokens.fast import FastTokenizer, tokenizer_errors
from attn_cli.models.tokens.token import Tokenizer

_OLDER = (
    *("vocab.*", "merges.txt", "*.model", "*.spm", "*.codes", "*.tiktoken"),
    "tokenizer_config.json",  # of bytes or characters, which need no vocabulary
)


def open_tokenizer(directory: Path, *, trusts_code: bool = False) -> Tokenizer:
    """The tokenizer in `directory`; one that has no `tokenizer.json` may be written in Python of its own.

    Raises:
        AttnError: there is none, or it cannot be read.
    """
    path = checked_path(directory, "tokenizer.json", LARGEST_TEXT)
    if not path.is_file():
        if not any(file for pattern in _OLDER for file in directory.glob(pattern)):
            hint = "save it with transformers: AutoTokenizer.from_pretrained(...).save_pretrained(...)"
            raise AttnError(f"{directory} has no tokenizer.json, nor an older file in its place", hint)
        from attn_cli.models.tokens.slow import open_slow_tokenizer  # transformers and torch: 3 s

        return open_slow_tokenizer(directory, trusts_code=trusts_code)
    import tokenizers  # 0.03 s

    with tokenizer_errors(f"{path} is no tokenizer"):
        return FastTokenizer(tokenizers.Tokenizer.from_file(str(path)))
