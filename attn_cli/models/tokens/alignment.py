"""Finds token offsets by comparing letters, for tokenizers that do not report them."""

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, pairwise

_SPACE = "▁"  # SentencePiece's


def align_pieces(text: str, pieces: Sequence[str]) -> list[tuple[int, int]]:
    """The start and end in `text` of the characters that each piece stands for.

    Letters are compared after normalisation (NFKC), case folding and removal of white space. Pieces none of
    whose letters are found share the text between their neighbours; a piece of spaces alone gets the spaces
    after the previous piece.
    """
    letters, places = _letters(text)
    owners = [(letter, index) for index, piece in enumerate(pieces) for letter in _letters(piece)[0]]
    matched: dict[int, tuple[int, int]] = {}
    for at, owner in _matching_letters(letters, "".join(letter for letter, _ in owners)):
        index, (start, end) = owners[owner][1], places[at]
        matched[index] = (matched.get(index, (start, end))[0], end)
    return _fill_gaps(text, matched, [bool(_letters(piece)[0]) for piece in pieces])


def _letters(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The letters to compare, and the start and end of the characters each of them comes from."""
    letters, places = "", []
    for start, end in _clusters(text):
        plain = unicodedata.normalize("NFKC", text[start:end]).casefold()
        kept = "".join(letter for letter in plain if not letter.isspace() and letter != _SPACE)
        letters += kept
        places += [(start, end)] * len(kept)
    return letters, places


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """The start and end of each character with its combining accents, the unit of normalisation.

    Not graphemes: those of `rich.cells` would join a letter with the line break after it, and give the two
    pieces of a joined emoji the same place.
    """
    starts = [place for place, letter in enumerate(text) if not place or not unicodedata.combining(letter)]
    return pairwise((*starts, len(text)))


def _matching_letters(ours: str, theirs: str) -> Iterator[tuple[int, int]]:
    """Pairs of indices of matching letters, in order."""
    if ours == theirs:  # the usual case, and SequenceMatcher is quadratic
        yield from zip(range(len(ours)), range(len(ours)), strict=True)
        return
    for block in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        yield from zip(
            range(block.a, block.a + block.size), range(block.b, block.b + block.size), strict=True
        )


def _fill_gaps(
    text: str, matched: dict[int, tuple[int, int]], has_letters: Sequence[bool]
) -> list[tuple[int, int]]:
    """The spans found, and for each run of pieces without one the text between its neighbours."""
    spans: list[tuple[int, int]] = []
    for is_matched, run in groupby(range(len(has_letters)), matched.__contains__):
        indices = list(run)
        if is_matched:
            spans += [matched[index] for index in indices]
            continue
        end = matched[indices[-1] + 1][0] if indices[-1] + 1 in matched else len(text)
        start = min(spans[-1][1] if spans else 0, end)  # neighbours may share a ligature
        spans += _share_gap(text, start, end, [has_letters[index] for index in indices])
    return spans


def _share_gap(text: str, start: int, end: int, has_letters: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """The spans of a run between `start` and `end`; pieces of spaces get the leading and trailing spaces."""
    gap = text[start:end]
    first = end - len(gap.lstrip())
    last = max(first, start + len(gap.rstrip()))
    lettered = [place for place, has in enumerate(has_letters) if has] or [len(has_letters)]
    for place in range(len(has_letters)):
        if place < lettered[0]:
            yield start, first
        else:
            yield (first, last) if place <= lettered[-1] else (last, end)
