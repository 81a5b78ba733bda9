"""Finds token offsets by comparing letters, for tokenizers that do not report them."""

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, pairwise

_SPACE = "▁"  # SentencePiece's
_SHORT = 400
"""Letters of the text and its pieces together up to which the longest equal runs are looked for."""
_GAP = 48  # the same for what lies between two equal runs of a longer text
_RUN = 4  # equal letters that are no coincidence; fewer at the end of both
_FIRST = 32  # letters in which they are looked for first


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
    if ours == theirs:  # the usual case
        return zip(range(len(ours)), range(len(ours)), strict=True)
    if len(ours) + len(theirs) <= _SHORT:
        return _closely(ours, theirs)
    return _along(ours, theirs)


def _closely(ours: str, theirs: str, at: int = 0, their: int = 0) -> Iterator[tuple[int, int]]:
    """The pairs of the longest equal runs, their indices counted from `at` and `their`: cubic time."""
    for block in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        for place in range(block.size):
            yield at + block.a + place, their + block.b + place


def _along(ours: str, theirs: str) -> Iterator[tuple[int, int]]:
    """The pairs of a long text, in time that is linear in its length: from one equal run to the next."""
    at = their = 0
    while at < len(ours) and their < len(theirs):
        if ours[at] == theirs[their]:
            yield at, their
            at, their = at + 1, their + 1
            continue
        next_at, next_their = _next_equal(ours, theirs, at, their)
        if next_at + next_their - at - their <= _GAP:
            yield from _closely(ours[at:next_at], theirs[their:next_their], at, their)
        at, their = next_at, next_their


def _next_equal(ours: str, theirs: str, at: int, their: int) -> tuple[int, int]:
    """The nearest places from which a few letters are equal; the ends of both texts if there are none.

    The search widens until it finds them, so that it costs no more than a multiple of what it skips.
    """
    width = _FIRST
    while True:
        found = _equal_within(ours, theirs, (at, their), width)
        if found is not None:
            return found
        if width > max(len(ours) - at, len(theirs) - their):
            return len(ours), len(theirs)
        width *= 4


def _equal_within(ours: str, theirs: str, start: tuple[int, int], width: int) -> tuple[int, int] | None:
    """As `_next_equal`, among the next `width` letters of each text; None: there are none."""
    at, their = start
    places = dict[str, int]()
    for place in range(their, min(their + width, len(theirs))):
        places.setdefault(theirs[place : place + _RUN], place)
    candidates = (
        (place, places[run])
        for place in range(at, min(at + width, len(ours)))
        if (run := ours[place : place + _RUN]) in places
    )
    return min(candidates, key=sum, default=None)


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
