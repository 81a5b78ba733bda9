"""A tokenizer that transformers reads: files in an older format, or settings that change `tokenizer.json`.

transformers converts `vocab.txt`, `vocab.json` with `merges.txt`, and SentencePiece models to tokenizers of
the library `tokenizers`. A few tokenizers remain in Python (Marian, for example): they report no offsets, so
these are found by comparing letters.
"""

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import transformers  # with torch 3 s: imported only by modules that need it anyway

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.tokens.alignment import align_pieces
from attn_cli.models.tokens.beside import read_beside
from attn_cli.models.tokens.chat.files import read_chat_template
from attn_cli.models.tokens.chat.template import ChatTemplate
from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.models.tokens.token import Token, Tokenizer, decode_byte_name

_READ = (
    *("*.json", "*.txt", "*.model", "*.spm", "*.vocab", "*.bpe", "*.codes", "*.tiktoken"),
    *("*.jinja", "additional_chat_templates/*.jinja"),
)
_PIECES = ("*.model", "*.spm")
_SETTINGS = ("tokenizer_config_file", "tokenizer_file", "target_vocab_file", "special_tokens_map_file")
_CLASS = re.compile(r"(?!Auto)\w+(Tokenizer|TokenizerFast|Backend)", re.ASCII)
_GENERIC = ("TokenizersBackend", "PreTrainedTokenizerFast")
_RELOAD = "download the tokenizer's files again"
_OWN_CODE = "the tokenizer comes with its own Python code, which was not run; --trust-remote-code runs it"


def open_slow_tokenizer(directory: Path, *, trusts_code: bool = False) -> Tokenizer:
    """Open the tokenizer in `directory` as `AutoTokenizer` does.

    Raises:
        AttnError: its files are missing, damaged, or cannot be read.
    """
    for pattern in _READ:
        for file in directory.glob(pattern):
            checked_path(directory, str(file.relative_to(directory)), LARGEST_TEXT)
    _check_class(directory)
    is_whole = (directory / "tokenizer.json").exists()
    if not is_whole:
        _check_pieces(directory)
    has_own_code = _has_own_code(directory)
    if has_own_code and not trusts_code and not _has_local_class(directory):
        needs = f"the tokenizer in {directory} needs the Python code that comes with the checkpoint"
        problem = f"{needs}, and that code would run with your permissions"
        raise AttnError(problem, "--trust-remote-code, if you have read that code or trust its author")
    with _tokenizer_errors(f"transformers cannot read the tokenizer in {directory}"):
        inner = transformers.AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=trusts_code
        )
    if not (is_whole and inner.is_fast):
        _check_whole(directory, inner)
    remarks = (_OWN_CODE,) if has_own_code and not trusts_code else ()
    kind = TransformersTokenizer if inner.is_fast else SlowTokenizer
    return kind(inner, directory, remarks)


class TransformersTokenizer(FastTokenizer):
    """A tokenizer of transformers that the library `tokenizers` runs: it reports offsets."""

    def __init__(self, whole: Any, directory: Path, remarks: tuple[str, ...] = ()) -> None:
        has_segments = "token_type_ids" in whole.model_input_names
        super().__init__(whole.backend_tokenizer, has_segments=has_segments, directory=directory)
        self._whole, self._remarks, self._is_target = whole, remarks, False
        self._special |= set(whole.all_special_ids)

    def encode(self, text: str, pair: str | None) -> Any:
        """The text and the second one as the class splits them."""
        texts = {"text_target": text} if self._is_target else {"text": text, "text_pair": pair}
        with _tokenizer_errors("the text cannot be tokenized"):
            batch = self._whole(**texts, add_special_tokens=self._has_template)
        (encoding,) = batch.encodings
        if encoding.ids != batch["input_ids"]:
            raise AttnError("the tokenizer changes the tokens after the text was split", _RELOAD)
        return encoding

    def columns(self, text: str) -> None:
        """None: the class may change the tokens."""

    def target_tokenizer(self) -> "TransformersTokenizer":
        """The tokenizer for the decoder's text; a translator marks it with its language."""
        target = copy.copy(self)
        vars(target)["_is_target"] = getattr(self._whole, "tgt_lang", "") is not None
        return target

    def chat_template(self) -> ChatTemplate | None:
        """The template that writes messages as one text; None if there is none.

        Raises:
            AttnError: its file is damaged.
        """
        return _chat_template(self._whole, self.directory)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of the tokenizer."""
        return self._remarks


class SlowTokenizer:
    """A tokenizer implemented in Python."""

    def __init__(self, inner: Any, directory: Path, remarks: tuple[str, ...] = ()) -> None:
        self._inner, self.directory = inner, directory
        self._special = set(inner.all_special_ids)
        self._added = set(inner.added_tokens_decoder)
        self.remarks = remarks
        self._has_template = True

    def __call__(self, text: str, pair: str | None = None) -> tuple[Token, ...]:
        """The tokens of `text`, and of `pair` as a second segment, with the model's special tokens.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        texts = [text] if pair is None else [text, pair]
        pieces, ids, encoding = self._split(texts)
        segments = encoding["token_type_ids"]
        if "token_type_ids" not in self._inner.model_input_names:
            segments = [0] * len(segments)
        tokens = [self._of_text(*text_pieces) for text_pieces in zip(texts, pieces, ids, strict=True)]
        lengths = [len(part) for part in texts]
        return tuple(self._in_template(encoding["input_ids"], segments, tokens, lengths))

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens `self(text, pair)` has, which are not made for it one by one.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        _, _, encoding = self._split([text] if pair is None else [text, pair])
        return len(encoding["input_ids"])

    def _split(self, texts: Sequence[str]) -> tuple[list[list[str]], list[list[int]], Any]:
        """The pieces of each text, their ids, and what the class makes of both."""
        with _tokenizer_errors("the text cannot be tokenized"):
            pieces = [self._inner.tokenize(part) for part in texts]
            ids = [self._inner.convert_tokens_to_ids(names) for names in pieces]
            encoding = self._inner.prepare_for_model(
                *ids, return_token_type_ids=True, add_special_tokens=self._has_template
            )
        return pieces, ids, encoding

    def columns(self, _text: str) -> None:
        """None: what it does to a space is not known."""

    def token(self, index: int) -> Token:
        """The token with this id, as a special token at the start of a text.

        Raises:
            AttnError: the vocabulary has no such id.
        """
        with _tokenizer_errors(f"the vocabulary has no token {index}"):
            piece = str(self._inner.convert_ids_to_tokens(index))
        return Token(0, index, piece, piece, start=0, end=0, special=True, segment=0)

    def text(self, index: int) -> str:
        """The text of the token with this id; empty if there is none, as where a vocabulary is padded."""
        if index >= self.size:
            return ""
        piece = self.token(index).piece
        return piece if index in self._special | self._added else _decode(piece)

    def text_token(self, index: int) -> Token:
        """The token with this id as it stands in a text; its piece is empty if there is none."""
        piece = self.token(index).piece if index < self.size else ""
        is_special = index in self._special
        return Token(0, index, piece, self.text(index), start=0, end=0, special=is_special, segment=0)

    def decode(self, indices: Sequence[int]) -> str:
        """The text of these tokens together; bytes that are no whole character become U+FFFD."""
        with _tokenizer_errors("the tokens cannot be decoded"):
            return str(
                self._inner.decode(
                    [index for index in indices if index < self.size],
                    skip_special_tokens=False,
                    clean_up_tokenization_spaces=False,
                )
            )

    def target_tokenizer(self) -> "SlowTokenizer":
        """The tokenizer for the decoder's text; Marian has two vocabularies."""
        if getattr(self._inner, "tgt_lang", "") is None:
            return self  # the target language is not set
        with _tokenizer_errors("the decoder's text cannot be tokenized"):
            inner = copy.copy(self._inner)
            inner._switch_to_target_mode()  # noqa: SLF001  the call's `text_target` does just this
        target = SlowTokenizer(inner, self.directory)
        return target if self._has_template else target.without_template()

    def without_template(self) -> "SlowTokenizer":
        """The same tokenizer, which adds no special tokens to a text."""
        bare = copy.copy(self)
        vars(bare)["_has_template"] = False
        return bare

    def chat_template(self) -> ChatTemplate | None:
        """The template that writes messages as one text; None if there is none.

        Raises:
            AttnError: its file is damaged.
        """
        return _chat_template(self._inner, self.directory)

    @cached_property
    def size(self) -> int:
        """The number of tokens: the largest id is one less."""
        return 1 + max(self._inner.get_vocab().values(), default=-1)

    def vocabulary(self) -> dict[int, str]:
        """The text of every token by its id, without special and added tokens."""
        with _tokenizer_errors("the vocabulary cannot be read"):
            pieces = self._inner.get_vocab()
        undivided = self._special | self._added
        return {index: _decode(piece) for piece, index in pieces.items() if index not in undivided}

    def _of_text(self, text: str, pieces: Sequence[str], ids: Sequence[int]) -> list[Token]:
        """The tokens of one text; their positions and segments are set later."""
        inner, undivided = self._inner, self._special | self._added
        decoded = [
            piece if index in undivided and index != inner.unk_token_id else _decode(piece)
            for piece, index in zip(pieces, ids, strict=True)
        ]
        spans = align_pieces(text, [_searched(letters) for letters in decoded])
        unknown = {inner.unk_token_id: str(inner.unk_token)}  # its piece is the unknown text itself
        return [
            Token(
                position=0,
                id=index,
                piece=unknown.get(index, piece),
                text=unknown.get(index, letters),
                start=start,
                end=end,
                special=index in self._special,
                segment=0,
            )
            for piece, index, letters, (start, end) in zip(pieces, ids, decoded, spans, strict=True)
        ]

    def _in_template(
        self,
        ids: Sequence[int],
        segments: Sequence[int],
        texts: Sequence[Sequence[Token]],
        lengths: Sequence[int],
    ) -> Iterator[Token]:
        """All tokens in order; one added by the template gets the end of the text before it.

        Raises:
            AttnError: the tokens of a text are not found unchanged among `ids`.
        """
        starts = _starts_of_texts(ids, texts)
        by_position = {
            start + offset: token
            for start, tokens in zip(starts, texts, strict=True)
            for offset, token in enumerate(tokens)
        }
        stops = {start + len(texts[text]): lengths[text] for text, start in enumerate(starts)}
        end = 0
        for position, (index, segment) in enumerate(zip(ids, segments, strict=True)):
            end = stops.get(position, end)
            token = by_position.get(position) or replace(self.token(index), start=end, end=end)
            yield replace(token, position=position, segment=segment)


def _chat_template(inner: Any, directory: Path | None) -> ChatTemplate | None:
    """The template of a tokenizer of transformers, whose class may bring one."""
    assert directory is not None, "it was read from files"
    return read_chat_template(directory, dict(inner.special_tokens_map), own=inner.chat_template)


def _starts_of_texts(ids: Sequence[int], texts: Sequence[Sequence[Token]]) -> list[int]:
    """The position in `ids` at which the tokens of each text start, one text after the other.

    Raises:
        AttnError: the tokens of a text are not found unchanged.
    """
    starts, place = list[int](), 0
    for tokens in texts:
        text_ids = [token.id for token in tokens]
        places = range(place, len(ids) - len(tokens) + 1)  # as many as tokens were added
        start = next((at for at in places if list(ids[at : at + len(tokens)]) == text_ids), None)
        if start is None:
            raise AttnError("the tokenizer changes the text's tokens when it adds special tokens", _RELOAD)
        starts.append(start)
        place = start + len(tokens)
    return starts


def _decode(piece: str) -> str:
    """The text a piece stands for, without the markers of WordPiece, BPE and SentencePiece."""
    plain = piece.removesuffix("@@").replace("</w>", " ").replace("▁", " ")
    return decode_byte_name(plain.removeprefix("##") or plain)


def _searched(letters: str) -> str:
    r"""What to search for in the text: an incomplete character (`\xf0`) cannot be found."""
    return "\ufffd" if letters.startswith("\\x") else letters


def _tokenizer_errors(problem: str) -> AbstractContextManager[None]:
    return translated_errors(problem, _RELOAD)


def _has_own_code(directory: Path) -> bool:
    """Whether Python code that comes with the checkpoint defines the tokenizer."""
    names = _settings(directory).get("auto_map")
    return isinstance(names, list) or (isinstance(names, dict) and names.get("AutoTokenizer") is not None)


def _has_local_class(directory: Path) -> bool:
    """Whether transformers has a class for the tokenizer, so that it can do without that code."""
    from transformers.models.auto import configuration_auto, tokenization_auto

    named = _settings(directory).get("tokenizer_class")
    if isinstance(named, str) and tokenization_auto.tokenizer_class_from_name(named.removesuffix("Fast")):
        return True
    kind = (read_beside(directory, "config.json") or {}).get("model_type")
    names: Any = configuration_auto
    return kind in names.CONFIG_MAPPING_NAMES and kind in tokenization_auto.TOKENIZER_MAPPING_NAMES


def _settings(directory: Path) -> dict[str, Any]:
    return read_beside(directory, "tokenizer_config.json") or {}


def _check_class(directory: Path) -> None:
    """Raise `AttnError` for a class that is not a tokenizer: transformers instantiates any class."""
    for name in ("tokenizer_config.json", "config.json"):
        kind = (read_beside(directory, name) or {}).get("tokenizer_class")
        if kind is not None and not (isinstance(kind, str) and _CLASS.fullmatch(kind)):
            problem = f"{directory / name} names a tokenizer_class that is not a tokenizer: {kind!r}"
            raise DamagedFileError(problem, _RELOAD, directory / name)


def _check_pieces(directory: Path) -> None:
    """Raise `AttnError` if a SentencePiece model is damaged, or a package to read it is not installed."""
    for path in sorted(file for pattern in _PIECES for file in directory.glob(pattern)):
        try:
            import google.protobuf  # noqa: F401  transformers needs it to read the file
            from sentencepiece import SentencePieceProcessor
        except ImportError as error:
            problem = f"{path} needs the packages sentencepiece and protobuf, which are not installed"
            raise AttnError(problem, "pip install 'attn-cli[sentencepiece]'") from error
        try:
            SentencePieceProcessor(model_file=str(path))
        except (RuntimeError, OSError) as error:
            raise DamagedFileError(f"{path} is not a SentencePiece model", _RELOAD, path) from error


def _check_whole(directory: Path, inner: Any) -> None:
    """Raise `AttnError` if transformers ignored a missing file or guessed the class.

    Without a vocabulary file it builds a tokenizer of special tokens only; without a class name it builds a
    generic one, which omits what the family adds.
    """
    named = {file for key, file in inner.vocab_files_names.items() if key not in _SETTINGS}
    lacking = sorted(file for file in named if not (directory / file).exists())
    if lacking and not any(directory.glob("*.model")):
        raise AttnError(f"{directory} has neither tokenizer.json nor {' and '.join(lacking)}", _RELOAD)
    if type(inner).__name__ in _GENERIC:
        problem = f"{directory} does not say which tokenizer class its files belong to"
        raise AttnError(problem, 'name it in tokenizer_config.json: {"tokenizer_class": "LlamaTokenizer"}')
