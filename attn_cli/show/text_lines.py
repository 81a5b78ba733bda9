"""Breaks a text in pieces into lines, as a reader would: at spaces, and in Chinese and Japanese anywhere.

The terminal measures cells and a picture inches: `width_of` is the only difference.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby
from typing import TypeAlias

from attn_cli.record import record
from attn_cli.safe_text import label, printable
from attn_cli.show.terminal.text_width import graphemes

_BETWEEN_TOKENS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer: no spaces
_ANYWHERE = (  # Chinese and Japanese, without the punctuation that belongs to the character before it
    "\u2e80-\u2fff\u3003-\u3007\u3012-\u3013\u3021-\u3029\u303d-\u30fa\u30fd-\u31ff\u3400-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_LINE_END = "\n\r\v\f\x85\u2028\u2029"
_ATOMS = re.compile(rf"\r\n|[{_LINE_END}]|[^\S{_LINE_END}]|[{_ANYWHERE}]|[^\s{_ANYWHERE}]+")
_IS_LINE_END = re.compile(rf"\r\n|[{_LINE_END}]")
_ENDS_ANYWHERE = re.compile(rf"[{_ANYWHERE}]}}?(\[[\d.]+\])?\Z")  # with the braces and the number after it
_STARTS_ANYWHERE = re.compile(rf"{{?[{_ANYWHERE}]")
_ENDS_UNSPACED, _STARTS_UNSPACED = re.compile(rf"[{_BETWEEN_TOKENS}]\Z"), re.compile(rf"[{_BETWEEN_TOKENS}]")
_JOINER = re.compile("(?<=[^\\W\\d_])[\u200c\u200d](?=[^\\W\\d_])")
_TAB = "    "
_SPACE, _RETURN = "␣", "⏎"

WidthOf: TypeAlias = Callable[[str], float]


@record(frozen=True, slots=True)
class ShownPiece:
    """A piece as it is drawn."""

    text: str
    is_mark: bool = False  # set apart from the text around it by spaces
    is_visible: bool = False  # whether its white space is drawn as signs, because it has a weight of its own
    after: str = ""  # what is written after its last character, such as its weight
    before: str = ""


@record(frozen=True, slots=True)
class Run:
    """Some characters of a piece on one line; piece -1: a space that is not part of the text."""

    text: str
    piece: int


Line: TypeAlias = tuple[Run, ...]


def wrapped(pieces: Sequence[ShownPiece], width: float, width_of: WidthOf) -> Iterator[Line]:
    """The lines of a text, each at most `width` wide; a longer word is broken anywhere."""
    for paragraph in _paragraphs(pieces):
        yield from _filled(list(_words(paragraph)), width, width_of)


def safe(text: str) -> str:
    """`text` without control characters; joiners inside words of Persian or Hindi remain."""
    parts = _JOINER.split(text)
    if len(parts) == 1:
        return printable(text)
    return "".join(chain(*zip(map(printable, parts), [*_JOINER.findall(text), ""], strict=True)))


def words_of(line: Line) -> Iterator[list[Run]]:
    """The runs of each word of a line, and each stretch of spaces."""
    return (list(runs) for _, runs in groupby(line, key=lambda run: run.text.isspace()))


def _paragraphs(pieces: Sequence[ShownPiece]) -> Iterator[list[Run]]:
    """The atoms of each line of the text: words or parts of them, single wide characters and spaces."""
    atoms = list[Run]()
    for number, piece in enumerate(pieces):
        if piece.is_mark and atoms and not atoms[-1].text.isspace():
            atoms.append(Run(" ", -1))
        if number and pieces[number - 1].is_mark and not (piece.is_mark or piece.text[:1].isspace()):
            atoms.append(Run(" ", -1))
        for atom in _atoms(piece):
            if _IS_LINE_END.fullmatch(atom):
                yield atoms
                atoms = []
            else:
                atoms.append(Run(atom, number))
    yield atoms


def _atoms(piece: ShownPiece) -> Iterator[str]:
    """The atoms of a piece, with what is written before and after it; a line end is an atom of its own."""
    texts = [label(piece.text)] if piece.is_mark else list(_characters(piece))
    words = [place for place, text in enumerate(texts) if not _IS_LINE_END.fullmatch(text)]
    if words:
        texts[words[0]] = piece.before + texts[words[0]]
        texts[words[-1]] += piece.after
    yield from texts


def _characters(piece: ShownPiece) -> Iterator[str]:
    for atom in _ATOMS.findall(piece.text):
        is_end = _IS_LINE_END.fullmatch(atom) is not None
        if not atom.isspace():
            yield safe(atom)
        elif piece.is_visible:
            yield _RETURN if is_end else _SPACE
            yield from [atom] if is_end else []
        else:
            yield atom if is_end else _TAB if atom == "\t" else " "


def _words(atoms: Sequence[Run]) -> Iterator[Line]:
    """The atoms between two places where a line may be broken: a word, or spaces."""
    word = list[Run]()
    for atom in atoms:
        if word and _may_break(word[-1], atom):
            yield tuple(word)
            word = []
        word.append(atom)
    if word:
        yield tuple(word)


def _may_break(one: Run, other: Run) -> bool:
    """Whether a line may end between two atoms: beside spaces, and between characters of some scripts."""
    if one.text.isspace() or other.text.isspace() or one.text.startswith((_SPACE, _RETURN)):
        return True
    if _ENDS_ANYWHERE.search(one.text) and _STARTS_ANYWHERE.match(other.text):
        return True
    is_unspaced = _ENDS_UNSPACED.search(one.text) and _STARTS_UNSPACED.match(other.text)
    return one.piece != other.piece and bool(is_unspaced)


def _filled(words: Sequence[Line], width: float, width_of: WidthOf) -> Iterator[Line]:
    """As many words on each line as fit, without the spaces at the end of a line."""
    line, filled = list[Run](), 0.0
    for word in words:
        size = width_of(_text(word))
        if filled + size <= width:
            line, filled = [*line, *word], filled + size
        elif _text(word).isspace():
            filled += size
        else:
            if line:
                yield _trimmed(line)
            *whole, (line, filled) = _broken(word, width, width_of)
            yield from (_trimmed(part) for part, _ in whole)
    yield _trimmed(line)


def _broken(word: Line, width: float, width_of: WidthOf) -> list[tuple[list[Run], float]]:
    """A word on as many lines as it needs, each with its width."""
    size = width_of(_text(word))
    if size <= width:
        return [(list(word), size)]
    lines: list[tuple[list[Run], float]] = [([], 0.0)]
    for run in word:
        for character in graphemes(run.text):
            part, filled = lines[-1]
            step = width_of(character)
            if part and filled + step > width:
                lines.append(([Run(character, run.piece)], step))
            else:
                lines[-1] = ([*part, Run(character, run.piece)], filled + step)
    return lines


def _trimmed(line: Sequence[Run]) -> Line:
    """The line without spaces at its end; adjacent runs of a piece are one."""
    kept = list(line)
    while kept and kept[-1].text.isspace():
        kept.pop()
    return tuple(
        Run(_text(runs), piece)
        for (piece, _), group in groupby(kept, key=lambda run: (run.piece, run.text.isspace()))
        for runs in [list(group)]
    )


def _text(runs: Sequence[Run]) -> str:
    return "".join(run.text for run in runs)
