"""Finds a checkpoint's chat template and the special tokens that it names, as `AutoTokenizer` does."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.tokens.beside import (
    BACKEND,
    SPECIAL,
    Settings,
    TokenizerFiles,
    has_transformers,
    read_beside,
)
from attn_cli.models.tokens.chat.template import ChatTemplate

_DEFAULT = "default"
_RELOAD = "download the model again, or repair the file"
_OF_PROCESSORS = ("processor_config.json", "chat_template.json")  # of models that read images, too


def read_chat_template(
    directory: Path, variables: Mapping[str, str], own: object = None
) -> ChatTemplate | None:
    """The template in the files of `directory`; None if there is none.

    `own` is the template that the tokenizer's class brings, which counts where no file has another.

    Raises:
        AttnError: a file is damaged, or there are several templates and none is the default.
    """
    source = _in_files(directory) or _in_settings(directory) or _one(own, directory)
    source = source if source is not None else _of_processor(directory)
    return None if source is None else ChatTemplate(source, variables)


def special_tokens(files: TokenizerFiles, padding: str | None) -> dict[str, str] | None:
    """The named special tokens, as in `special_tokens_map`; None if that depends on the version installed.

    `padding` is the token that `tokenizer.json` pads with. Until 5.8 transformers took another class than
    the named one for some model types.
    """
    from attn_cli.models.tokens.classes import CLASSES

    if any(name != BACKEND for name in files.names) and not has_transformers((5, 8)):
        return None
    answers = []
    for name in files.names:
        is_plain = name == BACKEND
        defaults = {"pad_token": padding} if is_plain else CLASSES[name](files.settings).marks
        answers.append(_named(files.settings, defaults))
    return answers[0] if answers and all(answer == answers[0] for answer in answers) else None


def _named(settings: Settings, defaults: Mapping[str, str | None]) -> dict[str, str]:
    tokens = {name: settings.get(name, defaults.get(name)) for name in SPECIAL} | _of_the_model(settings)
    contents = {
        name: token.get("content") if isinstance(token, dict) else token for name, token in tokens.items()
    }
    return {name: content for name, content in contents.items() if content is not None}


def _of_the_model(settings: Settings) -> dict[str, Any]:
    """The named special tokens of this model alone, such as `image_token`; a list of tokens has no names."""
    own = {
        name: token
        for name, token in settings.items()
        if name.endswith("_token") and name not in SPECIAL and isinstance(token, str)
    }
    extra = settings.get("extra_special_tokens") or settings.get("additional_special_tokens")
    if isinstance(extra, dict):
        own |= extra
    return own or dict(settings.get("model_specific_special_tokens") or {})


def _in_files(directory: Path) -> str | None:
    """The template of the files that are templates; they take precedence over all settings."""
    names = {_DEFAULT: Path("chat_template.jinja")} | {
        path.stem: path.relative_to(directory)
        for path in sorted((directory / "additional_chat_templates").glob("*.jinja"))
    }
    found = {name: text for name, file in names.items() if (text := _text(directory, file)) is not None}
    return _one(found, directory) if found else None


def _text(directory: Path, file: Path) -> str | None:
    path = checked_path(directory, str(file), LARGEST_TEXT)
    if not path.exists():
        return None
    try:
        return path.read_text("utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}", _RELOAD, path) from error


def _in_settings(directory: Path) -> str | None:
    name = "tokenizer_config.json"
    return _one((read_beside(directory, name) or {}).get("chat_template"), directory / name)


def _of_processor(directory: Path) -> str | None:
    """The template of the model's processor, which transformers reads in place of a tokenizer's."""
    for name in _OF_PROCESSORS:
        values = read_beside(directory, name) or {}
        source = _one(values.get("chat_template"), directory / name)
        if source is not None:
            return source
    return None


def _one(given: object, where: Path) -> str | None:
    """The template itself, or the one named default of several; None: there is none.

    Raises:
        AttnError: it is something else, or none of several is the default.
    """
    if given is None or isinstance(given, str):
        return given
    named = _by_name(given)
    if named is None:
        shown = json.dumps(given, ensure_ascii=False)[:60]
        problem = f"{where} has a chat_template that is neither a text nor a list of named texts: {shown}"
        raise DamagedFileError(problem, _RELOAD, where)
    if not named:
        return None
    if _DEFAULT not in named:
        problem = f"{where} has several chat templates, and none is the default: {', '.join(sorted(named))}"
        raise AttnError(problem, "put the one to use into chat_template.jinja, beside tokenizer.json")
    return named[_DEFAULT]


def _by_name(given: object) -> dict[str, str] | None:
    """Named templates, from a list of names and templates or from an object; None if it is neither."""
    if isinstance(given, Sequence):
        try:
            given = {entry["name"]: entry["template"] for entry in given}
        except (KeyError, TypeError):
            return None
    if not isinstance(given, dict):
        return None
    named: dict[Any, Any] = given
    is_whole = all(isinstance(name, str) and isinstance(text, str) for name, text in named.items())
    return named if is_whole else None
