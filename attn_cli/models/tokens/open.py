"""Opens the tokenizer in a directory: `tokenizer.json`, or, where that is not enough, with transformers."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.impostors import check_file
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.tokens.fast import FastTokenizer, tokenizer_errors
from attn_cli.models.tokens.guards.hazards import has_odd_patterns
from attn_cli.models.tokens.token import Tokenizer

if TYPE_CHECKING:
    import tokenizers

    from attn_cli.models.tokens.beside import TokenizerFiles
    from attn_cli.models.tokens.chat.template import ChatTemplate

_OTHER = "--tokenizer DIR, the directory of the model that it was trained with"
_AGAIN = "download it again"
MOST_LINES = 2_000_000
"""Lines of a vocabulary or of merges; published ones have up to 500,000."""
_OLDER = ("vocab.*", "merges.txt", "*.model", "*.spm", "*.codes", "*.tiktoken", "tekken.json")


def tokenizer_directory(directory: Path, adapter: Path | None) -> Path:
    """The directory of the tokenizer: the adapter's if it has one, else the model's."""
    if adapter is not None and ((adapter / "tokenizer.json").exists() or _older_files(adapter)):
        return adapter
    return directory


def open_tokenizer(directory: Path, *, trusts_code: bool = False, hint: str = _OTHER) -> Tokenizer:
    """Open the tokenizer in `directory`, whose ids are those of `AutoTokenizer`.

    `trusts_code` allows a tokenizer class in the checkpoint's own code; `hint` says what to try if the
    directory has no tokenizer.

    Raises:
        AttnError: there is none, or it cannot be read.
    """
    path = checked_path(directory, "tokenizer.json", LARGEST_TEXT)
    if not path.is_file():
        older = _older_files(directory)
        if not older and not _needs_no_vocabulary(directory):
            raise AttnError(f"{directory} has no tokenizer: neither tokenizer.json nor an older file", hint)
        for file in older:
            _check_older(directory, file)
        return _through_transformers(directory, trusts_code=trusts_code)
    from attn_cli.models.tokens.agreement import agreement, always
    from attn_cli.models.tokens.beside import read_tokenizer_files

    inner = _read(path)
    files = read_tokenizer_files(directory)
    applies = agreement(path, inner, files)
    if applies is None:
        return _through_transformers(directory, trusts_code=trusts_code)
    whole = cache(partial(_through_transformers, directory, trusts_code=trusts_code))
    padding = inner.padding["pad_token"] if inner.padding else None
    read_chat = partial(_chat_template, directory, files, padding, whole)
    fast = FastTokenizer(inner, has_segments=files.has_segments, directory=directory, read_chat=read_chat)
    if applies is always:
        return fast
    from attn_cli.models.tokens.partial import PartialTokenizer  # few tokenizers need it

    return PartialTokenizer(fast, applies, whole)


def _chat_template(
    directory: Path, files: "TokenizerFiles", padding: str | None, whole: Callable[[], Tokenizer]
) -> "ChatTemplate | None":
    """The template in the directory, with the special tokens that the class names."""
    from attn_cli.models.tokens.chat.files import read_chat_template, special_tokens

    variables = special_tokens(files, padding)
    return whole().chat_template() if variables is None else read_chat_template(directory, variables)


def open_tokenizer_file(path: Path) -> FastTokenizer:
    """Open a `tokenizer.json` on its own, as the library `tokenizers` reads it.

    Raises:
        AttnError: it cannot be read.
    """
    return FastTokenizer(_read(checked_path(path.parent, path.name)))


def _read(path: Path) -> "tokenizers.Tokenizer":
    """The tokenizer in the file.

    Raises:
        AttnError: it holds something else.
    """
    import tokenizers  # 0.03 s

    content = _bytes(path)
    if has_odd_patterns(content):
        from attn_cli.models.tokens.guards.trial import PROBES, try_tokenizer  # few tokenizers need it

        try_tokenizer(content.decode("utf-8", "replace"), PROBES, f"the tokenizer {path}")
    try:
        with tokenizer_errors(f"{path} is not a valid tokenizer"):
            return tokenizers.Tokenizer.from_file(str(path))
    except AttnError as error:
        check_file(path)
        raise DamagedFileError(error.problem, error.hint, path) from error


def _bytes(path: Path) -> bytes:
    """The content of a file; empty if it cannot be read, which the library reports."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _older_files(directory: Path) -> list[Path]:
    """The vocabularies in the formats from before `tokenizer.json`."""
    return [file for pattern in _OLDER for file in directory.glob(pattern)]


def _check_older(directory: Path, file: Path) -> None:
    """Raise `AttnError` if a vocabulary in an older format is no file, or larger than any that is one."""
    checked_path(directory, file.name, LARGEST_TEXT)
    if file.is_dir():
        raise DamagedFileError(f"{file} is a directory, not a file", _AGAIN, file)
    check_file(file)
    lines = _bytes(file).count(b"\n") if file.suffix == ".txt" else 0
    if lines > MOST_LINES:
        problem = f"{file} is too large: {lines:,} lines, and the limit is {MOST_LINES:,}"
        raise DamagedFileError(problem, _AGAIN, file)


def _needs_no_vocabulary(directory: Path) -> bool:
    """Whether the tokenizer's class may do without a vocabulary, as those of bytes and characters do."""
    from attn_cli.models.tokens.beside import BACKEND, OF_TYPES, class_name, read_beside
    from attn_cli.models.tokens.classes import CLASSES

    settings = read_beside(directory, "tokenizer_config.json")
    if settings is None:
        return False
    kind = (read_beside(directory, "config.json") or {}).get("model_type")
    named = settings.get("tokenizer_class") or OF_TYPES.get(str(kind), "")
    return class_name(str(named)) not in {BACKEND, *CLASSES}


def _through_transformers(directory: Path, *, trusts_code: bool) -> Tokenizer:
    from attn_cli.models.tokens.slow import open_slow_tokenizer  # transformers and torch: 3 s

    return open_slow_tokenizer(directory, trusts_code=trusts_code)
