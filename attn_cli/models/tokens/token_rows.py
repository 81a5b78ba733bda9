"""Writes the tokens of a long text, a row for each, some thousands at a time.

The rows of a block are laid out side by side as bytes of one width, where NUL stands for nothing: Python's
own formatting takes twice as long for 2 million rows.
"""

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from attn_cli.models.tokens.token import Parts, Token, TokenColumns

Bytes = npt.NDArray[np.uint8]

_BLOCK = 30_000  # tokens that are written together
_MOST_KEPT = 100_000  # kinds of token whose written form is kept
_WIDEST = 400  # bytes of a part; blocks with a wider one are formatted row by row
_PLACE = re.compile(r"%(\d*)d|%s")


def written_rows(
    columns: TokenColumns, template: str, parts: Callable[[Token], Parts], between: str
) -> Iterator[str]:
    """The rows of some thousands of tokens at a time, with `between` from one row to the next.

    `template` has places for the position, the first part, start, end, and the second part: `%d` or `%8d` for
    numbers, which are not negative, and `%s` for parts.
    """
    known = _Known(columns.kinds, parts)
    for begin in range(0, len(columns), _BLOCK):
        here = slice(begin, begin + _BLOCK)
        kinds, which = np.unique(columns.which[here], return_inverse=True)
        sides = known.sides(kinds.tolist())
        numbers = (
            np.arange(begin, begin + len(which), dtype=np.int32),
            columns.starts[here],
            columns.ends[here],
        )
        if known.fits_all(kinds):
            first, second = (_table(side) for side in sides)
            fields = (numbers[0], first[which], *numbers[1:], second[which])
            yield _side_by_side(template + between.replace("%", "%%"), fields).removesuffix(between)
        else:
            one, other = ([_text(side[place]) for place in which.tolist()] for side in sides)
            places, starts, ends = (column.tolist() for column in numbers)
            rows = zip(places, one, starts, ends, other, strict=True)
            yield between.join([template % row for row in rows])


class _Known:
    """The parts of the kinds of token that occurred, as bytes."""

    def __init__(self, kinds: Sequence[Token], parts: Callable[[Token], Parts]) -> None:
        self._kinds, self._parts = kinds, parts
        self._known = dict[int, tuple[bytes, ...]]()
        self._unfit = set[int]()  # those that cannot be laid out side by side

    def sides(self, kinds: Sequence[int]) -> tuple[list[bytes], list[bytes]]:
        """The first and the second parts of these kinds."""
        if len(self._known) > _MOST_KEPT:
            self._known.clear()
            self._unfit.clear()
        for kind in kinds:
            if kind not in self._known:
                parts = tuple(_encoded(part) for part in self._parts(self._kinds[kind]))
                self._known[kind] = parts
                if any(len(part) > _WIDEST or b"\0" in part for part in parts):
                    self._unfit.add(kind)
        found = [self._known[kind] for kind in kinds]
        return [first for first, _ in found], [second for _, second in found]

    def fits_all(self, kinds: npt.NDArray[np.integer]) -> bool:
        """Whether all of these kinds can be laid out side by side."""
        return not self._unfit or self._unfit.isdisjoint(kinds.tolist())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(encoded: bytes) -> str:
    return encoded.decode("utf-8", "surrogatepass")


def _table(parts: list[bytes]) -> Bytes:
    """(K, W) the parts, each filled up with NUL."""
    width = max(1, *map(len, parts))
    return np.array(parts, f"S{width}").view(np.uint8).reshape(len(parts), width)


def _side_by_side(template: str, fields: tuple[npt.NDArray[np.integer], ...]) -> str:
    """The template filled in for each row of `fields`: numbers (n,), or bytes (n, W)."""
    pieces, end = list[Bytes](), 0
    for place, field in zip(_PLACE.finditer(template), fields, strict=True):
        pieces.append(_constant(template[end : place.start()]))
        pieces.append(
            _digits(field, int(place[1] or 0)) if field.ndim == 1 else field.astype(np.uint8, copy=False)
        )
        end = place.end()
    pieces.append(_constant(template[end:]))
    rows = len(fields[0])
    whole = [np.broadcast_to(piece, (rows, piece.shape[-1])) for piece in pieces]
    return _text(np.concatenate(whole, axis=1).tobytes().translate(None, b"\0"))


def _constant(text: str) -> Bytes:
    return np.frombuffer(_encoded(text.replace("%%", "%")), np.uint8)


def _digits(numbers: npt.NDArray[np.integer], width: int) -> Bytes:
    """(n, P) the numbers in decimal, right-aligned with spaces to `width`."""
    places = max(width, len(str(int(numbers.max(initial=0)))))
    powers = 10 ** np.arange(places - 1, -1, -1, dtype=np.int64)
    left = numbers[:, None] // powers
    is_blank = left == 0
    is_blank[:, -1] = False
    filled = np.where(np.arange(places) >= places - width, ord(" "), 0)
    return np.where(is_blank, filled, left % 10 + ord("0")).astype(np.uint8)
