"""A tokenizer from a `tokenizer.json`, run by the `tokenizers` library."""

import copy
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from attn_cli.errors import AttnError
from attn_cli.models.tokens.guards.hazards import check_growth, longest_untried
from attn_cli.models.tokens.token import Token, decode_byte_name

if TYPE_CHECKING:
    import tokenizers

    from attn_cli.models.tokens.chat.template import ChatTemplate
    from attn_cli.models.tokens.token import TokenColumns

_RELOAD = "download tokenizer.json again"
_STDERR = 2
PieceDecoder: TypeAlias = Callable[[str], str]
"""Converts a piece of the vocabulary (`##ing`, `Ġthe`) to the text it stands for."""


def _no_chat() -> None:
    """There is no chat template."""


class FastTokenizer:
    """The tokenizer of a model's directory.

    Without `has_segments` the model is not told which text a token belongs to: all are in segment 0.
    `read_chat` reads the chat template; `is_ours`: its regular expressions are in our code, not in a file.
    """

    def __init__(
        self,
        inner: "tokenizers.Tokenizer",
        *,
        has_segments: bool = True,
        directory: Path | None = None,
        read_chat: "Callable[[], ChatTemplate | None]" = _no_chat,
        is_ours: bool = False,
    ) -> None:
        inner.no_padding()  # MiniLM's file pads every text to 128
        inner.no_truncation()  # and truncates to 128: a text that is too long is an error here
        check_growth(inner)
        self._inner, self.directory, self._read_chat = inner, directory, read_chat
        self._longest_untried = None if is_ours else longest_untried(inner)
        self._has_segments, self._has_template = has_segments, True
        self._decode = _piece_decoder(inner)
        added = inner.get_added_tokens_decoder()
        self._special = {index for index, token in added.items() if token.special}
        self._added = {index: token.content for index, token in added.items()}

    def __call__(self, text: str, pair: str | None = None) -> tuple[Token, ...]:
        """The tokens of `text`, and of `pair` as a second segment, with the model's special tokens.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        self._try(text, pair)
        with tokenizer_errors("the text cannot be tokenized"):
            encoding = self.encode(text, pair)
            spans = _spans(encoding.offsets, encoding.sequence_ids, (text, pair or ""))
            segments = encoding.type_ids if self._has_segments else [0] * len(encoding.ids)
            lists = (encoding.ids, encoding.tokens, encoding.sequence_ids, segments, spans)
            fields = list(zip(*lists, strict=True))
        return tuple(
            Token(
                position=position,
                id=index,
                piece=self._added.get(index, piece),  # `piece` has the white space that it stripped
                text=self._added[index] if index in self._added else self._decode(piece),
                start=start,
                end=end,
                special=sequence is None or index in self._special,
                segment=segment,
            )
            for position, (index, piece, sequence, segment, (start, end)) in enumerate(fields)
        )

    def _try(self, text: str, pair: str | None) -> None:
        """Raise `AttnError` if its regular expressions do not come to an end with these texts."""
        if self._longest_untried is None or len(text) + len(pair or "") <= self._longest_untried:
            return
        from attn_cli.models.tokens.guards.trial import try_tokenizer  # few tokenizers need it

        texts = (text,) if pair is None else (text, pair)
        try_tokenizer(self._inner.to_str(), texts, "the tokenizer")

    def encode(self, text: str, pair: str | None) -> "tokenizers.Encoding":
        """The text and the second one as the library splits them.

        A batch, because for a single text the library keeps Python's lock: nothing would hear Ctrl-C.
        """
        batch = [text if pair is None else (text, pair)]
        (encoding,) = self._inner.encode_batch(batch, add_special_tokens=self._has_template)
        return encoding

    def columns(self, text: str) -> "TokenColumns | None":
        """The tokens of a long text in columns; None if it must be split as a whole.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        from attn_cli.models.tokens.stretches import split_stretches, splits_before_spaces  # NumPy: 0.1 s

        is_local = self._longest_untried != 0 and splits_before_spaces(self._inner)
        return split_stretches(self, text) if is_local else None

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens `self(text, pair)` has, which are not made for it one by one.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        columns = self.columns(text) if pair is None else None
        if columns is not None:
            return len(columns)
        self._try(text, pair)
        with tokenizer_errors("the text cannot be tokenized"):
            return len(self.encode(text, pair))

    def encode_parts(self, parts: Sequence[str]) -> "list[tokenizers.Encoding]":
        """Parts of a text as the library splits them, without special tokens.

        Raises:
            AttnError: they cannot be tokenized.
        """
        with tokenizer_errors("the text cannot be tokenized"):
            return self._inner.encode_batch(list(parts), add_special_tokens=False)

    def token(self, index: int) -> Token:
        """The token with this id, as a special token at the start of a text.

        Raises:
            AttnError: the vocabulary has no such id.
        """
        piece = self._inner.id_to_token(index)
        if piece is None:
            raise AttnError(f"the vocabulary has no token {index}", _RELOAD)
        return Token(0, index, piece, piece, start=0, end=0, special=True, segment=0)

    def text(self, index: int) -> str:
        """The text of the token with this id; empty if there is none, as where a vocabulary is padded."""
        piece = self._inner.id_to_token(index) or ""
        return self._added.get(index) or self._decode(piece)

    def text_token(self, index: int) -> Token:
        """The token with this id as it stands in a text; its piece is empty if there is none."""
        piece = self._added.get(index) or self._inner.id_to_token(index) or ""
        is_special = index in self._special
        return Token(0, index, piece, self.text(index), start=0, end=0, special=is_special, segment=0)

    def decode(self, indices: Sequence[int]) -> str:
        """The text of these tokens together; bytes that are no whole character become U+FFFD."""
        with tokenizer_errors("the tokens cannot be decoded"):
            return self._inner.decode(list(indices), skip_special_tokens=False)

    def target_tokenizer(self) -> "FastTokenizer":
        """The tokenizer for the decoder's text: the same one."""
        return self

    def vocabulary(self) -> dict[int, str]:
        """The text of every token by its id, without special and added tokens."""
        pieces = self._inner.get_vocab(with_added_tokens=False)
        return {index: self._decode(piece) for piece, index in pieces.items() if index not in self._added}

    def without_template(self) -> "FastTokenizer":
        """The same tokenizer, which adds no special tokens to a text."""
        bare = copy.copy(self)
        vars(bare)["_has_template"] = False
        return bare

    def chat_template(self) -> "ChatTemplate | None":
        """The template that writes messages as one text; None if there is none.

        Raises:
            AttnError: its file is damaged.
        """
        return self._read_chat()

    @property
    def size(self) -> int:
        """The number of tokens: the largest id is one less."""
        return 1 + max(self._inner.get_vocab(with_added_tokens=True).values(), default=-1)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of the tokenizer."""
        return ()


@contextmanager
def tokenizer_errors(problem: str) -> Iterator[None]:
    """Turn any exception raised inside into an `AttnError`, including Rust panics (`BaseException`).

    Rust writes its own report of a panic, a page long, to standard error: it goes nowhere.
    """
    try:
        with _without_stderr():
            yield
    except (KeyboardInterrupt, MemoryError, AttnError):
        raise
    except BaseException as error:
        raise AttnError(f"{problem}: {error}", _RELOAD) from error


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Let nothing that a library writes to standard error be seen."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # it is closed, or there is no number left for another file
        yield
        return
    try:
        with suppress(OSError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, _STDERR)
            os.close(nothing)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _spans(
    offsets: Sequence[tuple[int, int]], sequences: Sequence[int | None], texts: tuple[str, str]
) -> list[tuple[int, int]]:
    """The offsets; a token added by the template gets the end of the text before it."""
    spans: list[tuple[int, int]] = []
    place = 0
    for offset, sequence in zip(offsets, sequences, strict=True):
        if sequence is not None:
            place = len(texts[sequence])
        spans.append((place, place) if sequence is None else offset)
    return spans


def _piece_decoder(inner: "tokenizers.Tokenizer") -> PieceDecoder:
    """A function that applies the tokenizer's decoder to a single piece."""
    components = _components(inner.decoder) or _components(inner.pre_tokenizer)
    decoders = [decoder for state in components if (decoder := _component_decoder(state)) is not None]

    def decode(piece: str) -> str:
        for decoder in decoders:
            piece = decoder(piece)
        return piece

    return decode


def _components(component: Any) -> list[dict[str, Any]]:
    """The component's settings as in `tokenizer.json`; a sequence is flattened."""
    if component is None:
        return []
    state = json.loads(component.__getstate__())
    inner = state.get("decoders") or state.get("pretokenizers")
    return list(inner) if state.get("type") == "Sequence" else [state]


def _component_decoder(state: dict[str, Any]) -> PieceDecoder | None:
    """What one component of the decoder does to a single piece; None if it only joins pieces."""
    match state:
        case {"type": "WordPiece", "prefix": str(prefix)}:
            return partial(_strip_prefix, prefix)
        case {"type": "Replace", "pattern": {"String": str(old)}, "content": str(new)}:
            return partial(_replace, old, new)
        case {"type": "Metaspace", "replacement": str(marker)} | {
            "type": "BPEDecoder",
            "suffix": str(marker),
        }:
            return partial(_replace, marker, " ")
        case {"type": "ByteLevel"}:
            return _decode_byte_letters
        case {"type": "ByteFallback"}:
            return decode_byte_name
    return None


def _strip_prefix(prefix: str, piece: str) -> str:
    """`##ing` as `ing`; a piece that is only the prefix is kept."""
    return piece.removeprefix(prefix) or piece


def _replace(old: str, new: str, piece: str) -> str:
    return piece.replace(old, new)


def _decode_byte_letters(piece: str) -> str:
    r"""`ĠcafÃ©` as ` café`; an incomplete character becomes `\xf0`.

    Byte-level BPE represents each byte as a letter (GPT-2, `encoder.py`, `bytes_to_unicode`).
    """
    try:
        return bytes(BYTE_LETTERS[letter] for letter in piece).decode("utf-8", "backslashreplace")
    except KeyError:
        return piece


def _byte_letters() -> dict[str, int]:
    """GPT-2's letters and their bytes: a printable byte is itself, others are numbered from U+0100."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = sorted(set(range(256)) - set(plain))
    moved = {chr(256 + place): byte for place, byte in enumerate(others)}
    return {chr(byte): byte for byte in plain} | moved


BYTE_LETTERS = _byte_letters()
"""The letters that byte-level BPE writes for bytes."""
