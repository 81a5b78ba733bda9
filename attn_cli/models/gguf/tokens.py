"""The tokenizer of a GGUF file, rebuilt out of its metadata as Hugging Face has it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attn_cli.errors import AttnError
from attn_cli.models.gguf.file import GgufFile
from attn_cli.models.tokens.fast import FastTokenizer, tokenizer_errors
from attn_cli.record import record

if TYPE_CHECKING:
    import tokenizers

_UNKNOWN, _CONTROL, _GIVEN = 2, 3, 4  # of token_type: the piece for what no piece spells, marks, whole words
_HINT = "use the model's directory in Hugging Face layout, with its tokenizer.json"
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
class _Cut:
    """How a byte-level tokenizer cuts a text before it merges pieces: `tokenizer.ggml.pre` names it."""

    patterns: Sequence[str]
    has_whole_words: bool = False  # a word that is a piece is not put together by merges
    begins: bool = False  # whether a text begins with a mark, unless the file says otherwise
    is_composed: bool = False  # letters and their accents are one first


_LLAMA = _Cut((_LLAMA3,), has_whole_words=True, begins=True)
_CUTS = {
    "gpt-2": _Cut((_GPT2,)),
    "llama-bpe": _LLAMA,
    "llama3": _LLAMA,
    "llama-v3": _LLAMA,
    "qwen2": _Cut((_QWEN2,), is_composed=True),
    "smollm": _Cut((r"\p{N}", _GPT2)),
    "starcoder": _Cut((r"\p{N}", _GPT2)),
    "tekken": _Cut((_TEKKEN,), has_whole_words=True, begins=True),
    "gpt-4o": _Cut((_GPT4O,)),
    "dbrx": _Cut((_LLAMA3,)),
}
"""The names, as `llama-vocab.cpp` in llama.cpp and `gguf_tokenizer_mapping.py` in transformers have them."""


@record(frozen=True, slots=True)
class _Vocabulary:
    """What both kinds of tokenizer have in the metadata."""

    file: GgufFile
    pieces: Sequence[str]
    in_order: bool

    def of(self, key: str) -> Any:
        return self.file.metadata.get(f"tokenizer.ggml.{key}")

    def numbers(self, key: str) -> list[Any]:
        """A list with a number for every piece.

        Raises:
            AttnError: it has another length, or is none.
        """
        found = self.of(key)
        values = [] if found is None or isinstance(found, str | int | float) else list(found)
        if len(values) != len(self.pieces):
            raise self.unfit(f"{len(self.pieces)} pieces, and {len(values)} values of {key}")
        return values

    def piece(self, key: str) -> str:
        """The piece whose number the metadata has.

        Raises:
            AttnError: there is none.
        """
        index = self.of(key)
        if not isinstance(index, int) or not 0 <= index < len(self.pieces):
            raise self.unfit(f"{key} is {index} of {len(self.pieces)} pieces")
        return self.pieces[index]

    def unfit(self, problem: str) -> AttnError:
        return AttnError(f"{self.file.path} has a tokenizer that cannot be rebuilt: {problem}", _HINT)


def gguf_tokenizer(file: GgufFile, *, in_order: bool = False) -> FastTokenizer:
    """The tokenizer that the file describes.

    `in_order`: the pieces of SentencePiece merge in the order of the vocabulary, whatever their scores, and
    runs of spaces, which the file spells as spaces, merge like all others. That is how Gemma's do.

    Raises:
        AttnError: it has none, or one that cannot be rebuilt so that it cuts alike.
    """
    pieces = file.metadata.get("tokenizer.ggml.tokens")
    listed = pieces if isinstance(pieces, list) else []
    if in_order:
        listed = ["▁" * len(piece) if piece and not piece.strip(" ") else piece for piece in listed]
    found = _Vocabulary(file, listed, in_order)
    if len(set(found.pieces)) != len(found.pieces):
        raise found.unfit("a piece stands twice")
    embedding = file.tensors.get("token_embd.weight")
    if embedding is not None and len(found.pieces) > embedding.shape[0]:
        raise found.unfit(f"{len(found.pieces)} pieces for {embedding.shape[0]} rows of the embedding")
    kinds = {"gpt2": _byte_level, "llama": _scored}
    kind = found.of("model")
    if not isinstance(kind, str) or kind not in kinds:
        raise found.unfit(f"its kind is {kind}, not {' or '.join(kinds)}")
    with tokenizer_errors(f"{file.path} has no tokenizer that can be rebuilt"):
        return FastTokenizer(kinds[kind](found))


def _byte_level(found: _Vocabulary) -> "tokenizers.Tokenizer":
    """GPT-2's kind: BPE over letters that stand for bytes."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers

    name = found.of("pre")
    if not isinstance(name, str) or name not in _CUTS:
        raise found.unfit(f"it cuts as {name} does, not as one of {', '.join(_CUTS)}")
    cut = _CUTS[name]
    merges = [tuple(merge.split(" ")) for merge in found.of("merges") or ()]
    inner = tokenizers.Tokenizer(models.BPE(_numbered(found), merges, ignore_merges=cut.has_whole_words))
    if cut.is_composed:
        inner.normalizer = normalizers.NFC()
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(tokenizers.Regex(each), "isolated") for each in cut.patterns),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    return _with_marks(inner, found, begins=cut.begins)


def _scored(found: _Vocabulary) -> "tokenizers.Tokenizer":
    """Llama 2's kind: SentencePiece's BPE, whose merges follow from the scores of the pieces."""
    import tokenizers
    from tokenizers import decoders, models, normalizers

    unknown = found.piece("unknown_token_id") if found.of("unknown_token_id") is not None else None
    scores = range(0, -len(found.pieces), -1) if found.in_order else found.numbers("scores")
    merges = _merges(_numbered(found), scores)
    inner = tokenizers.Tokenizer(
        models.BPE(_numbered(found), merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    has_space = found.of("add_space_prefix") is not False
    inner.normalizer = normalizers.Sequence(
        [*([normalizers.Prepend("▁")] if has_space else []), normalizers.Replace(" ", "▁")]
    )
    strip = [decoders.Strip(" ", 1, 0)] if has_space else []
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return _with_marks(inner, found, begins=True)


def _numbered(found: _Vocabulary) -> dict[str, int]:
    return {piece: index for index, piece in enumerate(found.pieces)}


def _merges(vocabulary: Mapping[str, int], scores: Sequence[float]) -> list[tuple[str, str]]:
    """Every way to put a piece together out of two, the best piece first.

    As `generate_merges` in transformers has it (`tokenization_utils_sentencepiece.py`).
    """
    found: list[tuple[str, str, float]] = []
    for piece, score in zip(vocabulary, scores, strict=True):
        halves = [(piece[:cut], piece[cut:], score) for cut in range(1, len(piece))]
        pairs = [each for each in halves if each[0] in vocabulary and each[1] in vocabulary]
        found += sorted(pairs, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    found.sort(key=lambda pair: (pair[2], len(pair[0]), len(pair[1])), reverse=True)
    return [(left, right) for left, right, _ in found]


def _with_marks(inner: "tokenizers.Tokenizer", found: _Vocabulary, *, begins: bool) -> "tokenizers.Tokenizer":
    """The tokenizer with the pieces that no text is cut into, and those that stand at a text's ends."""
    from tokenizers import AddedToken
    from tokenizers.processors import TemplateProcessing

    kinds = list(zip(found.pieces, found.numbers("token_type"), strict=True))
    marks = [piece for piece, kind in kinds if kind in {_CONTROL, _UNKNOWN}]
    inner.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in marks])
    given = [piece for piece, kind in kinds if kind == _GIVEN and piece.strip("▁")]
    inner.add_tokens([AddedToken(piece, normalized=False) for piece in given])
    wanted = {"bos": found.of("add_bos_token"), "eos": found.of("add_eos_token")}
    wanted = {"bos": begins if wanted["bos"] is None else wanted["bos"], "eos": wanted["eos"]}
    ends = {end: found.piece(f"{end}_token_id") for end, is_wanted in wanted.items() if is_wanted}
    if ends:
        first, last = ([ends[end]] if end in ends else [] for end in ("bos", "eos"))
        inner.post_processor = TemplateProcessing(
            single=[*first, "$A", *last],
            pair=[*first, "$A", *last, *first, "$B", *last],
            special_tokens=[(piece, inner.token_to_id(piece)) for piece in ends.values()],
        )
    return inner
