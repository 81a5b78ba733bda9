"""Whether `tokenizer.json` alone gives the ids of `AutoTokenizer`, decided without importing transformers.

`AutoTokenizer` reads `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` too, and its
class builds parts of the tokenizer anew. Where the result is known to be the tokenizer in the file, the file
is enough; everywhere else transformers splits the text.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from attn_cli.models.tokens.beside import BACKEND, SPECIAL, Settings, TokenizerFiles, has_transformers
from attn_cli.models.tokens.fast import BYTE_LETTERS

if TYPE_CHECKING:
    import tokenizers

    from attn_cli.models.tokens.classes import Parts

Applies: TypeAlias = Callable[[str], bool]
"""Whether the file gives the ids of `AutoTokenizer` for this text."""

_OF_CLASSES = (
    *(
        "do_lower_case",
        "strip_accents",
        "tokenize_chinese_chars",
        "add_prefix_space",
        "keep_accents",
        "legacy",
    ),
    *("extra_special_tokens", "additional_special_tokens", "added_tokens_decoder", "model_input_names"),
    *("model_specific_special_tokens", "tokenizer_class", "auto_map"),
)
_WITHOUT_EFFECT = (
    *("add_bos_token", "add_eos_token"),  # taken out where there is a `tokenizer.json`
    *("model_max_length", "max_len", "max_length", "padding", "padding_side", "pad_token_type_id", "stride"),
    *("pad_to_multiple_of", "truncation", "truncation_side", "truncation_strategy", "chat_template"),
    *("clean_up_tokenization_spaces", "use_default_system_prompt", "spaces_between_special_tokens"),
    *("name_or_path", "special_tokens_map_file", "tokenizer_file", "vocab_file", "processor_class"),
    *("is_local", "local_files_only", "backend", "files_loaded", "errors", "use_fast", "sp_model_kwargs"),
    *("do_basic_tokenize", "never_split", "trim_offsets", "extra_ids", "full_tokenizer_file", "verbose"),
    *("chat_control_tokens", "response_template"),  # of chats, or of answers in them
    *("device_map", "language", "task", "transformers_version", "model_type", "response_schema"),
)
_KNOWN = frozenset((*SPECIAL, *_OF_CLASSES, *_WITHOUT_EFFECT))
_SWITCHES = frozenset(
    {"split_special_tokens", "fix_mistral_regex", "return_token_type_ids"}
)  # without effect while they are off
_TEXT_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_PLAIN = (False, False, False, False, True)
_CHARSMAP = "Precompiled"  # a normaliser that comes from SentencePiece's file; classes take it over
_START = 1 << 16  # characters: most files list their added tokens there, before the vocabulary
_UNUSED = "\U0010fffe"  # a character that stands for nothing
_State: TypeAlias = dict[str, Any]


def agreement(path: Path, inner: "tokenizers.Tokenizer", files: TokenizerFiles) -> Applies | None:
    """For which texts `inner`, read from `path`, gives the ids of `AutoTokenizer`; None: not known."""
    if not files.names or files.has_others or not _are_understood(files.settings):
        return None
    try:
        if not _has_marks(inner, files) or not _adds_nothing(inner, files):
            return None
        names = [name for name in files.names if name != BACKEND]
        return _of_classes(path, inner, files, names) if names else always
    except (TypeError, ValueError, KeyError, AttributeError):  # a value of another type than expected
        return None


def _of_classes(
    path: Path, inner: "tokenizers.Tokenizer", files: TokenizerFiles, names: Sequence[str]
) -> Applies | None:
    """For which texts it is the tokenizer that all of these classes build; None: this is not known."""
    from attn_cli.models.tokens.classes import CLASSES  # 2 ms, and many checkpoints do without

    if not all(name in CLASSES for name in names):
        return None
    applies: Applies = always
    for name in names:
        parts = CLASSES[name](files.settings)
        marks = [mark for mark in parts.marks.values() if mark is not None]
        is_same = _is_recent(parts) and _has_marks(inner, files, (*marks, *parts.more))
        if not is_same or not _keeps_added_tokens(path, inner, files, parts):
            return None
        if not (_has_model(inner, parts) and _has_built_template(inner, files, parts)):
            return None
        if not _has_words(inner, parts):
            if not _begins_words(inner, parts):
                return None
            applies = _applies_to_plain_texts(inner)
    return applies


def always(_text: str) -> bool:
    """It does for every text."""
    return True


def _are_understood(settings: Settings) -> bool:
    """Whether every setting is one whose effect is known; own code is not."""
    return settings.get("auto_map") is None and all(
        name in _KNOWN
        or (name in _SWITCHES and not value)
        or (name.endswith("_token") and isinstance(value, str))
        for name, value in settings.items()
    )


def _is_recent(parts: "Parts") -> bool:
    """Whether the class that is installed builds these parts."""
    return parts.since == (5, 0) or has_transformers(parts.since)


def _has_marks(inner: "tokenizers.Tokenizer", files: TokenizerFiles, others: Sequence[str] = ()) -> bool:
    """Whether the special tokens of the settings, and all of `others`, are special ones of the file.

    Unless the settings name another, the token that the file pads with is one (`TokenizersBackend.__init__`).
    """
    special = {token.content for token in inner.get_added_tokens_decoder().values() if token.special}
    pads = None if "pad_token" in files.settings else inner.padding
    padding = [pads["pad_token"]] if pads else []
    return special.issuperset((*_mark_contents(files.settings), *padding, *others))


def _mark_contents(settings: Settings) -> Iterator[str]:
    """The contents of all special tokens that the settings name."""
    for name, value in settings.items():
        if name.endswith("_token") and name not in _WITHOUT_EFFECT and value is not None:
            yield _content(value)
    extra = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or ()
    yield from map(_content, extra.values() if isinstance(extra, dict) else extra)
    yield from map(_content, (settings.get("model_specific_special_tokens") or {}).values())


def _content(token: Any) -> str:
    content = token["content"] if isinstance(token, dict) else token
    if not isinstance(content, str):
        raise TypeError("a special token is a string")
    return content


def _adds_nothing(inner: "tokenizers.Tokenizer", files: TokenizerFiles) -> bool:
    """Whether all tokens that the other files add are in the file, with the same ids and flags."""
    present = _added_tokens(inner)
    contents = {index: content for index, (content, *_) in present.items()}
    return all(
        present.get(index) == token for index, token in _listed_tokens(files.settings).items()
    ) and all(contents.get(index) == content for content, index in files.added.items())


def _added_tokens(inner: "tokenizers.Tokenizer") -> dict[int, tuple[Any, ...]]:
    """The content and flags of each added token, by id."""
    return {
        index: (token.content, *(getattr(token, flag) for flag in _TEXT_FLAGS))
        for index, token in inner.get_added_tokens_decoder().items()
    }


def _listed_tokens(settings: Settings) -> dict[int, tuple[Any, ...]]:
    """The same, of `added_tokens_decoder`; flags that are missing are those of `AddedToken`."""
    listed = settings.get("added_tokens_decoder") or {}
    return {int(index): _token_state(token) for index, token in listed.items()}


def _token_state(token: _State) -> tuple[Any, ...]:
    special = token.get("special", False)
    defaults = dict.fromkeys(_TEXT_FLAGS, False) | {"normalized": not special}
    return (token["content"], *(token.get(flag, default) for flag, default in defaults.items()))


def _keeps_added_tokens(
    path: Path, inner: "tokenizers.Tokenizer", files: TokenizerFiles, parts: "Parts"
) -> bool:
    """Whether the class, which adds all tokens anew in the order of their ids, gives them the same ids."""
    present = _added_tokens(inner)
    if "added_tokens_decoder" in files.settings and _listed_tokens(files.settings).keys() != present.keys():
        return False
    if parts.has_plain_marks:
        marks = {mark for mark in parts.marks.values() if mark} | set(_mark_contents(files.settings))
        if any(tuple(flags) != _PLAIN for content, *flags in present.values() if content in marks):
            return False
    return _stored_ids(path) == sorted(present)


def _stored_ids(path: Path) -> list[int]:
    """The ids of `added_tokens` as they stand in the file, which the library does not use."""
    with path.open(encoding="utf-8") as file:
        start = file.read(_START)
        try:
            return _ids_in(start)
        except ValueError:  # the list is longer, or stands behind the vocabulary
            return _ids_in(start + file.read())


def _ids_in(text: str) -> list[int]:
    """The ids in the list `added_tokens` of a `tokenizer.json`.

    Raises:
        ValueError: the text ends before the list does.
    """
    stored, _ = json.JSONDecoder().raw_decode(text, text.index("[", text.index('"added_tokens"')))
    return [token["id"] for token in stored]


def _has_model(inner: "tokenizers.Tokenizer", parts: "Parts") -> bool:
    """Whether the model is of the type, and has the options, that the class builds."""
    model = inner.model
    if type(model).__name__ != parts.model:
        return False
    if parts.model == "Unigram":  # its options are not to be read, but an unknown character shows them
        return [token.id for token in model.tokenize(_UNUSED)] == [parts.options["unk_id"]]
    options = dict(parts.options)
    if parts.model == "BPE" and _is_complete(inner, options):
        options = {name: value for name, value in options.items() if name not in {"unk_token", "fuse_unk"}}
    return all((getattr(model, name) or None) == (value or None) for name, value in options.items())


def _is_complete(inner: "tokenizers.Tokenizer", options: Mapping[str, Any]) -> bool:
    """Whether the vocabulary has a piece for every byte, so that nothing is unknown."""
    has_bytes = options["byte_fallback"]
    pieces = (f"<0x{byte:02X}>" for byte in range(256)) if has_bytes else iter(BYTE_LETTERS)
    return all(inner.token_to_id(piece) is not None for piece in pieces)


def _has_built_template(inner: "tokenizers.Tokenizer", files: TokenizerFiles, parts: "Parts") -> bool:
    """Whether the file's template is the one that the class builds, if it builds one."""
    from attn_cli.models.tokens.templates import has_template

    template, has_segments = parts.template, files.has_segments
    return template is None or has_template(inner, template, has_segments=has_segments)


def _has_words(inner: "tokenizers.Tokenizer", parts: "Parts") -> bool:
    """Whether normaliser and pre-tokenizer are those that the class builds."""
    if _states(inner.pre_tokenizer) != _states(parts.pre_tokenizer):
        return False
    found, built = _states(inner.normalizer), _states(parts.normalizer)
    if not parts.takes_charsmap:
        return found == built
    found = [state for state in found if not _joins_spaces(state)]  # words are split at spaces anyway
    charsmaps = [state for state in found if state["type"] == _CHARSMAP]
    return len(charsmaps) <= 1 and found == [*built, *charsmaps]


def _joins_spaces(state: _State) -> bool:
    """Whether the normaliser only replaces several spaces by one."""
    return state == {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}


def _states(component: Any) -> list[_State]:
    """The component's settings as in `tokenizer.json`; a sequence is a list."""
    if component is None:
        return []
    state = json.loads(component.__getstate__())
    for parts in ("normalizers", "pretokenizers"):
        if parts in state:
            return list(state[parts])
    return [state]


def _begins_words(inner: "tokenizers.Tokenizer", parts: "Parts") -> bool:
    """Whether the file is Llama 2's, whose normaliser sets ▁ before a text and for spaces."""
    prepend = {"type": "Prepend", "prepend": "▁"}
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    return (
        parts.begins_words
        and inner.pre_tokenizer is None
        and _states(inner.normalizer) == [prepend, spaces]
        and not any(token.normalized for token in inner.get_added_tokens_decoder().values())
    )


def _applies_to_plain_texts(inner: "tokenizers.Tokenizer") -> Applies:
    """Whether a text neither begins with a space nor has special tokens: the class treats these otherwise."""
    contents = [token.content for token in inner.get_added_tokens_decoder().values()]

    def applies(text: str) -> bool:
        return not text.startswith((" ", "▁")) and not any(content in text for content in contents)

    return applies
