"""Splits a long text in stretches, each once: where a tokenizer splits every text before a space.

A text of 10 MB has two million words and some ten thousand different ones; the library would take 2 GB.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from attn_cli.models.cores import granted_cores
from attn_cli.models.tokens.token import Numbers, Token, TokenColumns
from attn_cli.record import record

_CUT = re.compile(r"(?<=\S) ")
_LONGEST = 100_000  # characters of a stretch: longer ones take the library much memory
_BLOCK = 200_000  # characters of stretches that are looked up together
_MOST_KNOWN = 200_000  # stretches whose tokens are kept

_MODELS = frozenset({"BPE", "WordPiece", "WordLevel"})  # Unigram has no piece for what it does not know
_NORMALIZERS = frozenset({"BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"})
_DIVIDING: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "BertPreTokenizer": {},
        "Whitespace": {},
        "WhitespaceSplit": {},
        "ByteLevel": {"add_prefix_space": False, "use_regex": True},
    }
)
"""Pre-tokenizers that end a piece before every space that follows something else."""
_HARMLESS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Digits": {},
        "Punctuation": {"behavior": "Isolated"},
        "ByteLevel": {"add_prefix_space": False, "use_regex": False},
    }
)
"""Pre-tokenizers for which only neighbours count that are no space."""
_PUBLISHED = frozenset(
    {
        (  # cl100k, Llama 3
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        (  # Qwen 2 and 3
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # GPT-2
    }
)
"""Regular expressions of pre-tokenizers that do the same."""
_POST_PROCESSORS = frozenset({"TemplateProcessing", "BertProcessing"})


class _Splitter(Protocol):
    """What splits the stretches: a `FastTokenizer`."""

    def __call__(self, text: str) -> tuple[Token, ...]: ...
    def encode(self, text: str, pair: str | None) -> Any: ...
    def encode_parts(self, parts: Sequence[str]) -> Sequence[Any]: ...
    def text_token(self, index: int) -> Token: ...


@record(frozen=True, slots=True, eq=False)
class _Table:
    """The tokens of all known stretches, one after the other."""

    places: dict[str, int]  # of each stretch, its number
    firsts: Numbers  # of each stretch, where its tokens begin
    counts: Numbers  # of each stretch, how many they are
    kinds: Numbers
    starts: Numbers  # in characters of the stretch
    ends: Numbers


def splits_before_spaces(inner: Any) -> bool:
    """Whether a tokenizer gives a stretch the tokens that it gives it within a text.

    Every part of it must be known to look no further than the space at which a stretch begins.
    """
    model = inner.model
    if type(model).__name__ not in _MODELS or getattr(model, "dropout", None):
        return False
    if any(
        added.rstrip or re.search(r"\s", added.content) for added in inner.get_added_tokens_decoder().values()
    ):
        return False
    steps = _steps(inner.pre_tokenizer, "pretokenizers")
    is_divided = any(_is_dividing(step) for step in steps)
    return (
        is_divided
        and all(_is_dividing(step) or _matches(step, _HARMLESS) for step in steps)
        and all(step.get("type") in _NORMALIZERS for step in _steps(inner.normalizer, "normalizers"))
        and all(map(_is_plain_template, _steps(inner.post_processor, "processors")))
    )


def _steps(component: Any, inside: str) -> list[dict[str, Any]]:
    """The settings of a component, or of those in a sequence."""
    if component is None:
        return []
    state = json.loads(component.__getstate__())
    return list(state[inside]) if state.get("type") == "Sequence" else [state]


def _is_dividing(step: Mapping[str, Any]) -> bool:
    is_published = (step.get("pattern") or {}).get("Regex") in _PUBLISHED
    is_isolating = step.get("behavior") == "Isolated" and not step.get("invert")
    return _matches(step, _DIVIDING) or (step.get("type") == "Split" and is_published and is_isolating)


def _matches(step: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> bool:
    wanted = known.get(str(step.get("type")))
    return wanted is not None and all(step.get(name) == value for name, value in wanted.items())


def _is_plain_template(step: Mapping[str, Any]) -> bool:
    """Whether it adds tokens and leaves those of the text, and where they stand, as they are."""
    if step.get("type") == "ByteLevel":
        return not (step.get("trim_offsets") and step.get("add_prefix_space"))
    return step.get("type") in _POST_PROCESSORS


def split_stretches(tokenizer: _Splitter, text: str) -> TokenColumns | None:
    """The tokens of a text; None if it has none of its own, or hardly any spaces.

    Raises:
        AttnError: the text cannot be tokenized.
    """
    kinds = dict[int, int]()  # of each id, its place among the kinds
    table = _Table({}, *([np.zeros(0, np.int32)] * 5))
    columns = list[tuple[Numbers, Numbers, Numbers]]()
    sample = ""
    for cuts in _blocks(text):
        lengths = np.diff(cuts)
        if lengths.max() > _LONGEST:
            return None
        block = [text[begin:end] for begin, end in pairwise(cuts.tolist())]
        if len(table.places) > _MOST_KNOWN:
            table = _Table({}, *([np.zeros(0, np.int32)] * 5))
        new = list(dict.fromkeys(stretch for stretch in block if stretch not in table.places))
        if new:
            table = _with(table, new, tokenizer, kinds)
        numbers = np.fromiter(map(table.places.__getitem__, block), np.int32, len(block))
        counts = table.counts[numbers]
        sample = sample or next((one for one, count in zip(block, counts, strict=True) if count), "")
        columns.append(_columns(table, numbers, cuts[:-1]))
    if not sample:
        return None
    which, starts, ends = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    of_kinds = [tokenizer.text_token(index) for index in kinds]
    return _framed(tokenizer, sample, text, TokenColumns(of_kinds, which, starts, ends))


def _blocks(text: str) -> Iterator[Numbers]:
    """Where the stretches of some characters together begin, and where the last one of them ends.

    Spaces at the end of the text belong to its last stretch.
    """
    found = _CUT.finditer(text, 0, len(text.rstrip()))
    cuts = np.array([0, *[cut.start() for cut in found], len(text)], np.int32)
    first = 0
    while first < len(cuts) - 1:
        last = max(first + 1, int(np.searchsorted(cuts, cuts[first] + _BLOCK, "right")) - 1)
        yield cuts[first : last + 1]
        first = last


def _with(table: _Table, new: Sequence[str], tokenizer: _Splitter, kinds: dict[int, int]) -> _Table:
    """The table with the tokens of more stretches; new ids get the next places among the kinds.

    They are joined into one text per core: the library needs less for a few long texts than for many short
    ones.
    """
    begins = np.cumsum([0, *map(len, new[:-1])], dtype=np.int32)
    size = -(-len(new) // granted_cores())
    heads = range(0, len(new), size)
    parts = tokenizer.encode_parts(["".join(new[head : head + size]) for head in heads])
    found = _places(np.concatenate([np.array(part.ids, np.int64) for part in parts]), kinds)
    offsets = [
        np.array(part.offsets, np.int32).reshape(-1, 2) + begins[head]
        for part, head in zip(parts, heads, strict=True)
    ]
    starts, ends = np.concatenate(offsets).T
    owners = np.searchsorted(begins, starts, side="right") - 1
    sizes = np.bincount(owners, minlength=len(new)).astype(np.int32)
    firsts = len(table.kinds) + sizes.cumsum(dtype=np.int32) - sizes
    kept = (table.firsts, table.counts, table.kinds, table.starts, table.ends)
    more = (firsts, sizes, found, starts - begins[owners], ends - begins[owners])
    joined = [np.concatenate(pair) for pair in zip(kept, more, strict=True)]
    table.places.update(zip(new, range(len(table.places), len(table.places) + len(new)), strict=True))
    return _Table(table.places, *joined)


def _places(ids: np.ndarray[Any, Any], kinds: dict[int, int]) -> Numbers:
    """The place of each id among the kinds; new ones get the next places, in their order."""
    distinct, firsts, which = np.unique(ids, return_index=True, return_inverse=True)
    for index in distinct[firsts.argsort()].tolist():
        kinds.setdefault(index, len(kinds))
    places = np.array([kinds[index] for index in distinct.tolist()], np.int32)
    found: Numbers = places[which]
    return found


def _columns(
    table: _Table, numbers: Numbers, places: np.ndarray[Any, Any]
) -> tuple[Numbers, Numbers, Numbers]:
    """The kinds, starts and ends of the tokens of these stretches, which begin at `places`."""
    counts = table.counts[numbers]
    within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    at = np.repeat(table.firsts[numbers], counts) + within
    moved = np.repeat(places, counts).astype(np.int32)
    return table.kinds[at], table.starts[at] + moved, table.ends[at] + moved


def _framed(tokenizer: _Splitter, sample: str, text: str, columns: TokenColumns) -> TokenColumns:
    """The same with the special tokens of the template, which are those that it adds to a sample."""
    sequences = tokenizer.encode(sample, None).sequence_ids
    tokens = tokenizer(sample)
    body = [place for place, sequence in enumerate(sequences) if sequence is not None]
    before, after = tokens[: body[0]], tokens[body[-1] + 1 :]
    segment = tokens[body[0]].segment
    own = [_in_segment(kind, segment) for kind in columns.kinds]
    first, last = (np.full(len(side), at, np.int32) for side, at in ((before, 0), (after, len(text))))
    size = len(before) + len(own)
    which = (
        np.arange(len(before), dtype=np.int32),
        columns.which + np.int32(len(before)),
        np.arange(size, size + len(after), dtype=np.int32),
    )
    starts, ends = ((first, column, last) for column in (columns.starts, columns.ends))
    return TokenColumns((*before, *own, *after), *(np.concatenate(parts) for parts in (which, starts, ends)))


def _in_segment(kind: Token, segment: int) -> Token:
    return replace(kind, segment=segment) if segment else kind
