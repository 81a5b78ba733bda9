"""The small files beside a `tokenizer.json`, and which class of transformers they name."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_cli.models.files.config import read_json
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.tokens.classes import (
    BACKEND,
    OF_TYPES,
    OVERRULED,
    WITH_SEGMENTS,
    Settings,
    class_name,
)
from attn_cli.record import record

_OTHERS = ("tekken.json",)  # vocabularies that are preferred to tokenizer.json where a package reads them


@record(frozen=True, slots=True)
class TokenizerFiles:
    """What the small files beside `tokenizer.json` say."""

    settings: Settings
    added: Mapping[str, Any]  # of added_tokens.json: contents to ids
    names: tuple[str, ...]  # the classes that versions of transformers may choose; empty: not known
    has_others: bool  # whether there is a vocabulary that may be preferred to tokenizer.json

    @property
    def has_segments(self) -> bool:
        """Whether the tokenizer tells the model which text a token belongs to."""
        inputs = self.settings.get("model_input_names")
        if isinstance(inputs, list):
            return "token_type_ids" in inputs
        return any(name in WITH_SEGMENTS for name in self.names)


def read_tokenizer_files(directory: Path) -> TokenizerFiles:
    """Read the files in `directory`.

    Raises:
        AttnError: a file is damaged, or a link out of the checkpoint.
    """
    settings = read_beside(directory, "tokenizer_config.json") or {}
    added = dict[str, Any]()
    if "added_tokens_decoder" not in settings:  # else transformers ignores the older files
        settings |= read_beside(directory, "special_tokens_map.json") or {}
        added = read_beside(directory, "added_tokens.json") or {}
    has_others = any((directory / name).exists() for name in _OTHERS)
    names = _class_names(settings, read_beside(directory, "config.json"))
    return TokenizerFiles(settings, added, names, has_others)


def read_beside(directory: Path, name: str) -> dict[str, Any] | None:
    """The values in a file of the checkpoint; None if there is no such file.

    Raises:
        AttnError: it is damaged, or a link out of the checkpoint.
    """
    path = checked_path(directory, name, LARGEST_TEXT)
    return read_json(path) if path.exists() else None


def _class_names(settings: Settings, config: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The classes that versions of transformers may choose (`AutoTokenizer.from_pretrained`)."""
    named = settings.get("tokenizer_class") or (config or {}).get("tokenizer_class")
    if named is not None and not isinstance(named, str):
        return ()
    if config is None:  # an adapter, or a tokenizer alone
        return () if named is None else (class_name(named),)
    kind = None if config.get("model_name") else config.get("model_type")  # a name may overrule the type
    registered = OF_TYPES.get(kind) if isinstance(kind, str) else None
    if registered is None or (named is None and registered == BACKEND):
        return ()
    if named is None:
        return (registered,)
    plain = named.removesuffix("Fast")
    if class_name(named) in WITH_SEGMENTS and plain != registered and not _takes_other_class(registered):
        return ()
    return (class_name(named), *((registered,) if kind in OVERRULED else ()))


def _takes_other_class(registered: str) -> bool:
    """Whether transformers uses the named class for a type that is registered with another one."""
    return registered != BACKEND and is_installed((5, 8))


def is_installed(version: tuple[int, int]) -> bool:
    """Whether transformers has at least this version; not if that cannot be told."""
    import importlib.metadata  # 0.02 s

    try:
        installed = re.match(r"(\d+)\.(\d+)", importlib.metadata.version("transformers"))
    except importlib.metadata.PackageNotFoundError:
        return False
    return installed is not None and (int(installed[1]), int(installed[2])) >= version
