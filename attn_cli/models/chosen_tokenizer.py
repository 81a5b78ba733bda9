"""Opens the tokenizer that is named in place of the model's own."""

import os
from collections.abc import Mapping
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.hub.directories import GGUF
from attn_cli.models.hub.locate import Fetch, WantedFiles, expanded, locate_model
from attn_cli.models.tokens.open import open_tokenizer, open_tokenizer_file
from attn_cli.models.tokens.token import Tokenizer

_JSON = ".json"


def open_chosen_tokenizer(
    name: str, environment: Mapping[str, str], fetch: Fetch | None, *, trusts_code: bool
) -> Tokenizer:
    """Open the tokenizer in a directory, in a `tokenizer.json`, in a `.gguf` file, or of the model `name`.

    Raises:
        AttnError: there is none, or it cannot be read.
    """
    path = expanded(name)
    if not os.path.exists(path):  # noqa: PTH110  Path.exists raises for a long name
        wanted = WantedFiles(weights=False, code=trusts_code)
        path = _located(name, environment, fetch, wanted)
    if path.is_dir():
        return open_tokenizer(path, trusts_code=trusts_code, hint=_HINT)
    suffix = path.suffix.lower()
    if suffix == _JSON:
        return open_tokenizer_file(path)
    if suffix == GGUF:
        from attn_cli.models.gguf.model import open_gguf  # NumPy and gguf: 0.2 s

        return open_gguf(path).tokenizer()
    raise AttnError(f"{path} is not a tokenizer: it is neither a {_JSON} nor a {GGUF} file", _HINT)


def _located(name: str, environment: Mapping[str, str], fetch: Fetch | None, wanted: WantedFiles) -> Path:
    """The directory of the model with this name.

    Raises:
        AttnError: there is none.
    """
    try:
        return locate_model(name, environment, None, fetch, wanted).directory
    except AttnError as error:
        error.problem = f"--tokenizer cannot be opened: {error.problem}"
        raise


_HINT = "--tokenizer DIR, the directory that contains it"
