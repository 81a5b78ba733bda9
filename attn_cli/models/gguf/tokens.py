"""The tokenizer of a GGUF file, rebuilt from its metadata as a Hugging Face tokenizer."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_cli.errors import AttnError
from attn_cli.models.gguf.file import GgufFile
from attn_cli.models.tokens.chat.template import ChatTemplate
from attn_cli.models.tokens.fast import FastTokenizer, tokenizer_errors
from attn_cli.record import record

if TYPE_CHECKING:
    import tokenizers

_UNKNOWN, _CONTROL, _GIVEN = 2, 3, 4  # values of token_type: unknown, control, user-defined
_MOST_WORK = 100_000_000
"""The largest sum of the pieces' squared lengths: each is split in every place. Gemma 3 has 13 million."""

_NOT_STRIPPING = frozenset({"<unk>", "<s>", "<|endoftext|>"})
_NAMED = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}
"""The variables of a chat template, as in transformers' `gguf_tokenizer_mapping.py`."""
_HINT = "--tokenizer DIR, the model's directory in Hugging Face layout, with its tokenizer.json"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_WORDS = tuple(r"[^\r\n\p{L}\p{N}]?" + word for word in (f"{_UPPER}*{_LOWER}+", f"{_UPPER}+{_LOWER}*"))
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_TEKKEN = "|".join((*_WORDS, r"\p{N}", _REST))
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_GPT4O = "|".join((*(word + _ENDING for word in _WORDS), r"\p{N}{1,3}", _REST))


@record(frozen=True, slots=True)
class _PreTokenizer:
    """How a byte-level tokenizer splits a text before merging; named in `tokenizer.ggml.pre`."""

    patterns: Sequence[str]
    has_whole_words: bool = False  # a word that is in the vocabulary is one piece, whatever the merges
    begins: bool = False  # whether BOS is added, unless the file says otherwise
    is_composed: bool = False  # the text is normalised to NFC first


_LLAMA = _PreTokenizer((_LLAMA3,), has_whole_words=True, begins=True)
_DIGITS = _PreTokenizer((r"\p{N}", _GPT2))
_PRE_TOKENIZERS = {
    **dict.fromkeys(("gpt-2", "phi-2"), _PreTokenizer((_GPT2,))),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2"), _LLAMA),
    "qwen2": _PreTokenizer((_QWEN2,), is_composed=True),
    "deepseek-r1-qwen": _PreTokenizer((_QWEN2,)),
    **dict.fromkeys(("smollm", "starcoder"), _DIGITS),
    "tekken": _PreTokenizer((_TEKKEN,), has_whole_words=True, begins=True),
    **dict.fromkeys(("gpt-4o", "llama4"), _PreTokenizer((_GPT4O,))),
    **dict.fromkeys(("dbrx", "smaug-bpe"), _PreTokenizer((_LLAMA3,))),
}
"""By name, as in llama.cpp's `llama-vocab.cpp` and transformers' `gguf_tokenizer_mapping.py`."""


@record(frozen=True, slots=True)
class _Vocabulary:
    """The metadata that both kinds of tokenizer share."""

    file: GgufFile
    pieces: Sequence[str]
    in_order: bool

    def of(self, key: str) -> Any:
        return self.file.metadata.get(f"tokenizer.ggml.{key}")

    def numbers(self, key: str) -> list[Any]:
        """A list with one number per piece.

        Raises:
            AttnError: it is missing, or has another length.
        """
        value = self.of(key)
        values = value if isinstance(value, np.ndarray) else ()
        if len(values) != len(self.pieces):
            raise self.unfit(f"{len(self.pieces)} pieces, but {len(values)} values of {key}")
        return list(values)

    @property
    def merges(self) -> list[str]:
        """The merges of a byte-level tokenizer.

        Raises:
            AttnError: they are not strings.
        """
        listed = self.of("merges")
        if listed is not None and not isinstance(listed, list):
            raise self.unfit("its merges are not strings")
        return listed or []

    def piece(self, key: str) -> str:
        """The piece whose id is stored under `key`.

        Raises:
            AttnError: there is none.
        """
        index = self.of(key)
        if not isinstance(index, int) or not 0 <= index < len(self.pieces):
            raise self.unfit(f"{key} is {index} of {len(self.pieces)} pieces")
        return self.pieces[index]

    @property
    def strips(self) -> bool:
        """Whether special tokens take the white space behind them; llama.cpp tells by the model's name."""
        name = str(self.file.metadata.get("general.name", "")).lower()
        return "phi-3" in name or "phi3" in name

    def unfit(self, problem: str) -> AttnError:
        return AttnError(f"{self.file.path} has a tokenizer that cannot be rebuilt: {problem}", _HINT)


def build_tokenizer(file: GgufFile, *, in_order: bool = False) -> FastTokenizer:
    """Build the tokenizer that the file describes.

    `in_order` (Gemma): SentencePiece pieces merge in the order of the vocabulary, whatever their scores, and
    runs of spaces, which the file stores as spaces, merge like other pieces.

    Raises:
        AttnError: the file has no tokenizer, or one that cannot be rebuilt exactly.
    """
    vocabulary = _read_vocabulary(file, in_order=in_order)
    builders = {"gpt2": _byte_level, "llama": _scored}
    kind = vocabulary.of("model")
    if not isinstance(kind, str) or kind not in builders:
        raise vocabulary.unfit(f"its model is {kind}, not {' or '.join(builders)}")
    with tokenizer_errors(f"{file.path} has no tokenizer that can be rebuilt"):
        inner = builders[kind](vocabulary)
    return FastTokenizer(inner, read_chat=partial(_chat_template, vocabulary), is_ours=True)


def _chat_template(vocabulary: _Vocabulary) -> ChatTemplate | None:
    """The template in the metadata; others with names of their own, for tools, are not used."""
    source = vocabulary.file.metadata.get("tokenizer.chat_template")
    if not isinstance(source, str):
        return None
    named = {name: key for name, key in _NAMED.items() if vocabulary.of(key) is not None}
    return ChatTemplate(source, {name: vocabulary.piece(key) for name, key in named.items()})


def _read_vocabulary(file: GgufFile, *, in_order: bool) -> _Vocabulary:
    """Read the pieces; they must be distinct, short, and no more than the embedding has rows."""
    listed = file.metadata.get("tokenizer.ggml.tokens")
    pieces = listed if isinstance(listed, list) else []
    if in_order:
        pieces = ["▁" * len(piece) if piece and not piece.strip(" ") else piece for piece in pieces]
    vocabulary = _Vocabulary(file, pieces, in_order)
    if sum(len(piece) ** 2 for piece in pieces) > _MOST_WORK:
        raise vocabulary.unfit(f"its longest piece has {max(map(len, pieces)):,} characters")
    if len(set(pieces)) != len(pieces):
        raise vocabulary.unfit("a piece occurs twice")
    embedding = file.tensors.get("token_embd.weight")
    if embedding is not None and len(pieces) > embedding.shape[0]:
        raise vocabulary.unfit(f"{len(pieces)} pieces for {embedding.shape[0]} rows of the embedding")
    return vocabulary


def _byte_level(vocabulary: _Vocabulary) -> "tokenizers.Tokenizer":
    """Byte-level BPE, as in GPT-2."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    pre_tokenizer = _choose_pre_tokenizer(vocabulary)
    merges: Any = [tuple(merge.split(" ")) for merge in vocabulary.merges]
    inner = tokenizers.Tokenizer(
        models.BPE(_numbered(vocabulary), merges, ignore_merges=pre_tokenizer.has_whole_words)
    )
    if pre_tokenizer.is_composed:
        inner.normalizer = normalizers.NFC()
    regexes = [tokenizers.Regex(pattern) for pattern in pre_tokenizer.patterns]
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(regex, "isolated") for regex in regexes),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    return _with_marks(inner, vocabulary, begins=pre_tokenizer.begins)


def _choose_pre_tokenizer(vocabulary: _Vocabulary) -> _PreTokenizer:
    """The pre-tokenizer that the file names."""
    name = vocabulary.of("pre")
    if not isinstance(name, str) or name not in _PRE_TOKENIZERS:
        raise vocabulary.unfit(f"its pre-tokenizer is {name}, not one of {', '.join(_PRE_TOKENIZERS)}")
    return _PRE_TOKENIZERS[name]


def _scored(vocabulary: _Vocabulary) -> "tokenizers.Tokenizer":
    """SentencePiece BPE, as in Llama 2; the merges are derived from the scores of the pieces."""
    import tokenizers
    from tokenizers import decoders, models, normalizers

    unknown = vocabulary.piece("unknown_token_id") if vocabulary.of("unknown_token_id") is not None else None
    scores = range(0, -len(vocabulary.pieces), -1) if vocabulary.in_order else vocabulary.numbers("scores")
    merges = _merges(_numbered(vocabulary), scores)
    inner = tokenizers.Tokenizer(
        models.BPE(_numbered(vocabulary), merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    has_space = vocabulary.of("add_space_prefix") is not False
    inner.normalizer = normalizers.Sequence(
        [*([normalizers.Prepend("▁")] if has_space else []), normalizers.Replace(" ", "▁")]
    )
    strip = [decoders.Strip(" ", 1, 0)] if has_space else []
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return _with_marks(inner, vocabulary, begins=True)


def _numbered(vocabulary: _Vocabulary) -> dict[str, int]:
    return {piece: index for index, piece in enumerate(vocabulary.pieces)}


def _merges(vocabulary: Mapping[str, int], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Every way to form a piece from two others, the piece with the highest score first.

    As in transformers' `generate_merges` (`tokenization_utils_sentencepiece.py`).
    """
    merges: list[tuple[str, str, float]] = []
    for piece, score in zip(vocabulary, scores, strict=True):
        halves = [(piece[:end], piece[end:], score) for end in range(1, len(piece))]
        pairs = [pair for pair in halves if pair[0] in vocabulary and pair[1] in vocabulary]
        merges += sorted(pairs, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    merges.sort(key=lambda pair: (pair[2], len(pair[0]), len(pair[1])), reverse=True)
    return [(left, right) for left, right, _ in merges]


def _with_marks(
    inner: "tokenizers.Tokenizer", vocabulary: _Vocabulary, *, begins: bool
) -> "tokenizers.Tokenizer":
    """Add the special and user-defined tokens to the tokenizer, and BOS and EOS."""
    from tokenizers import AddedToken

    kinds = list(zip(vocabulary.pieces, vocabulary.numbers("token_type"), strict=True))
    strips = {piece: vocabulary.strips and piece not in _NOT_STRIPPING for piece, _ in kinds}
    marks = [piece for piece, kind in kinds if kind in {_CONTROL, _UNKNOWN}]
    inner.add_special_tokens(
        [AddedToken(mark, normalized=False, special=True, rstrip=strips[mark]) for mark in marks]
    )
    given = [piece for piece, kind in kinds if kind == _GIVEN and piece.strip("▁")]
    inner.add_tokens([AddedToken(piece, normalized=False, rstrip=strips[piece]) for piece in given])
    _add_ends(inner, vocabulary, begins=begins)
    return inner


def _add_ends(inner: "tokenizers.Tokenizer", vocabulary: _Vocabulary, *, begins: bool) -> None:
    """Add BOS and EOS to texts as the file specifies; `begins` applies to BOS if it does not say.

    `add_sep_token` applies to BERT's vocabularies only, and `remove_extra_whitespaces` to T5's.
    """
    from tokenizers.processors import TemplateProcessing

    has_first = vocabulary.of("add_bos_token")
    is_wanted = {"bos": begins if has_first is None else has_first, "eos": vocabulary.of("add_eos_token")}
    ends = {end: vocabulary.piece(f"{end}_token_id") for end in is_wanted if is_wanted[end]}
    if ends:
        first, last = ([ends[end]] if end in ends else [] for end in ("bos", "eos"))
        inner.post_processor = TemplateProcessing(
            single=[*first, "$A", *last],
            pair=[*first, "$A", *last, *first, "$B", *last],
            special_tokens=[(piece, inner.token_to_id(piece)) for piece in ends.values()],
        )
