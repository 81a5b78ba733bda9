"""Draws shaded texts: wrapped lines of words on the colours of their weights, and the scale below them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, groupby, pairwise
from typing import TYPE_CHECKING

from attn_cli.answers.shaded_text import Piece, ShadedText
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.show.picture.canvas import LABELS, USUAL, Canvas, too_narrow
from attn_cli.show.picture.colours import ColourScale, colour_map, readable_ink, with_minus_sign
from attn_cli.show.picture.fonts import Letters, letters_for
from attn_cli.show.picture.heading import LARGER, Heading
from attn_cli.show.picture.layout.sheet import GAP
from attn_cli.show.picture.marks import INCH, Box, Drawing, Fill, Image, PageMark, Stroke, Word, frame
from attn_cli.show.picture.reading_order import is_leftward_line, reads_leftwards, visual_order
from attn_cli.show.scale import StepScale
from attn_cli.show.shaded_lines import Gap, kept_lines, noticed, phrases, scale_of
from attn_cli.show.text_lines import Line, Run, ShownPiece, words_of, wrapped

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

_CMAP = "Oranges"  # from white to dark: a text without weights stays black on white
_ON_DARK = ("#16161a", "#7f2704", "#d94801", "#fd8d3c", "#fee6ce")  # the same on a dark page
_MARGIN, _WIDTH, _INDENT = 0.2, 6.5, 0.25  # inches: the lines are as wide as those of a page
_LEAST = 10  # of the width of lines, in sizes of type
_PITCH = 1.55  # from line to line, in font sizes
_ASCENT, _DESCENT = 1.0, 0.32  # of a shade around a baseline, in font sizes
_BAR, _TICK = Box(0, 0, 1.6, 0.1), 0.04
_LINES, _FEWEST = 45, 8  # of text: for all texts together, and for one of many
_ZERO = 0.005  # a smaller weight has no colour
_OF_MARKS = 0.8  # the size of a token without text


@record(frozen=True, slots=True)
class _Look:
    """How a piece is drawn: its colour, None for none, that of its letters, and whether it is framed."""

    fill: str | None = None
    ink: str | None = None  # None: that of the page
    is_framed: bool = False
    is_mark: bool = False


def text_page(
    texts: Sequence[ShadedText],
    heading: Heading,
    canvas: Canvas = USUAL,
    scale: StepScale | None = None,
) -> Drawing:
    """Lay out the texts below one another on one scale.

    Lines of a long text without large weights are left out.

    Raises:
        UsageError: the colour map does not exist, or the canvas is too narrow.
    """
    chosen = scale_of(texts, scale)
    colours = ColourScale(chosen.limits, _colour_map(canvas), chosen.is_log)
    page = _Page(
        canvas, _letters(texts, heading, canvas), chosen, colours, max(_FEWEST, _LINES // len(texts))
    )
    marks = list(page.marks(texts, heading))
    return Drawing(
        canvas.width or page.right + _MARGIN,
        page.y + _MARGIN,
        tuple(marks),
        page.letters.families,
        page.letters.missing,
        canvas,
        page.letters.lacking,
    )


def _colour_map(canvas: Canvas) -> "Colormap":
    if canvas.is_dark and canvas.cmap is None:
        from matplotlib.colors import LinearSegmentedColormap  # already imported by `letters_for`

        return LinearSegmentedColormap.from_list("oranges on dark", _ON_DARK)
    return colour_map(canvas.cmap or _CMAP)


def _letters(texts: Sequence[ShadedText], heading: Heading, canvas: Canvas) -> Letters:
    """The fonts for all text on the page."""
    pieces = {piece.text for text in texts for piece in chain(text.pieces, text.query_text)}
    told = {phrase for text in texts for phrase in phrases(text, StepScale())}
    return letters_for(pieces, {*heading.texts, *told, "…␣⏎→"}, canvas.font)


class _Page:
    """A page that is filled from top to bottom; `y` and `right` are the edges of what is drawn."""

    def __init__(
        self, canvas: Canvas, letters: Letters, scale: StepScale, colours: ColourScale, most: int
    ) -> None:
        self._faint = canvas.faint_ink
        self._small, self._size = canvas.size, canvas.size * LARGER
        self._width = _WIDTH if canvas.width is None else canvas.width - 2 * _MARGIN
        _check_width(canvas, self._width)
        self.letters, self.y, self.right = letters, _MARGIN, 0.0
        self._scale, self._colours, self._most = scale, colours, most
        self._space = letters.inches("n n", 1) - letters.inches("nn", 1)

    def marks(self, texts: Sequence[ShadedText], heading: Heading) -> Iterator[PageMark]:
        """The heading, the texts and the legend."""
        for line, size in heading.lines(self.letters, self._small, self._width + 2 * GAP):
            yield from self._sentence(line, size, None)
        said_once = bool(heading.phrases) and len({text.title for text in texts}) == 1
        for text in texts:
            self.y += 0.1
            told = phrases(text, self._scale)[said_once:]
            yield from self._sentence(" · ".join(told), self._small, None)
            self.y += 0.03
            if text.query_text:
                yield from self._query_text(text)
            yield from self._text(text)
        self.y += 0.14
        are_masked = any(text.masked.any() for text in texts)
        yield from self._legend(texts[0].unit, are_masked=are_masked)

    def _sentence(
        self, sentence: str, size: float, colour: str | None, indent: float = 0.0
    ) -> Iterator[Word]:
        """A sentence on as many lines as it needs."""
        shown = ShownPiece(self.letters.word(printable(sentence)))
        for line in wrapped([shown], self._width - indent, self._width_of(size)):
            self.y += size * 1.35 / INCH
            text = "".join(run.text for run in line)
            self.right = max(self.right, _MARGIN + indent + self.letters.inches(text, size))
            yield Word(
                text, _MARGIN + indent, self.y - size * 0.3 / INCH, size, "left", "baseline", colour=colour
            )

    def _query_text(self, text: ShadedText) -> Iterator[PageMark]:
        """The decoder's text up to the line after the query, which is framed."""
        looks = dict.fromkeys(text.query_pieces, _Look(is_framed=True))
        lines = self._wrapped(text.query_text, self._width - _INDENT, frozenset(looks))
        place = next(i for i, line in enumerate(lines) if any(run.piece in looks for run in line))
        for line in lines[max(0, place - 1) : place + 2]:
            yield from self._line(line, looks, _Look(ink=self._faint), _INDENT)
        yield from self._sentence("→ looks at", self._small, self._faint, _INDENT)

    def _text(self, text: ShadedText) -> Iterator[PageMark]:
        looks = self._looks(text)
        framed = frozenset(number for number, look in looks.items() if look.is_framed)
        visible = framed | noticed(text, self._scale)
        lines = self._wrapped(text.pieces, self._width, visible)
        for line in kept_lines(lines, text, self._scale, self._most):
            if isinstance(line, Gap):
                self.y += 0.03
                yield from self._sentence(str(line), self._small, self._faint)
                self.y += 0.03
            else:
                yield from self._line(line, looks, _Look())

    def _looks(self, text: ShadedText) -> dict[int, _Look]:
        """How each piece is drawn, unless it is plain."""
        queries = frozenset() if text.query_text else text.query_pieces
        low, high = self._scale.limits
        seen = text.shown & ~text.masked & (text.weights > (low if low > 0 else _ZERO * high))
        colours = self._colours.colours(text.weights[:, None])[:, 0]
        looks = dict[int, _Look]()
        for number, piece in enumerate(text.pieces):
            fill = _hexadecimal(colours[number]) if seen[number] else None
            ink = (
                readable_ink(colours[number])
                if seen[number]
                else self._faint
                if text.masked[number]
                else None
            )
            looks[number] = _Look(fill, ink, number in queries, piece.is_mark)
        return looks

    def _wrapped(self, pieces: Sequence[Piece], width: float, visible: frozenset[int]) -> list[Line]:
        shown = [
            ShownPiece(
                self.letters.word(piece.text), piece.is_mark, number in visible and piece.text.isspace()
            )
            for number, piece in enumerate(pieces)
        ]
        return list(wrapped(shown, width, self._width_of(self._size)))

    def _width_of(self, size: float) -> Callable[[str], float]:
        def width_of(text: str) -> float:
            return len(text) * self._space * size if text.isspace() else self.letters.inches(text, size)

        return width_of

    def _line(
        self, line: Line, looks: dict[int, _Look], plain: _Look, indent: float = 0.0
    ) -> Iterator[PageMark]:
        """The words of a line, from left to right on the page."""
        words = list(words_of(line))
        texts = ["".join(run.text for run in word) for word in words]
        width_of = self._width_of(self._size)
        widths = list(map(width_of, texts))
        x = _MARGIN + (self._width - sum(widths) if is_leftward_line(texts) else indent)
        self.y += self._size * _PITCH / INCH
        for number in visual_order(texts):
            yield from self._word(words[number], x, widths[number], looks, plain)
            x += widths[number]
        self.right = max(self.right, x)

    def _word(
        self, word: Sequence[Run], x: float, width: float, looks: dict[int, _Look], plain: _Look
    ) -> Iterator[PageMark]:
        """A word: its colours, the frame of the query, and its letters, each stretch of one ink at once."""
        text = "".join(run.text for run in word)
        is_leftward, width_of = reads_leftwards(text), self._width_of(self._size)
        ends = list(accumulate((len(run.text) for run in word), initial=0))
        edges = [0.0, *(min(width, width_of(text[:end])) for end in ends[1:-1]), width]
        base = self.y - self._size * 0.45 / INCH
        parts = list[tuple[Run, _Look, float]]()
        for run, (near, far) in zip(word, pairwise(edges), strict=True):
            left = x + width - far if is_leftward else x + near
            look = looks.get(run.piece, plain)
            box = Box(
                left, base - _ASCENT * self._size / INCH, far - near, (_ASCENT + _DESCENT) * self._size / INCH
            )
            yield from [] if look.fill is None else [Fill(box, look.fill)]
            yield from frame(box) if look.is_framed else []
            parts.append((run, look, left))
        for (ink, is_mark), group in groupby(parts, key=lambda part: (part[1].ink, part[1].is_mark)):
            stretch = list(group)
            left = min(part[2] for part in stretch)
            letters = "".join(run.text for run, _, _ in stretch)
            if letters.isspace():
                continue
            size = self._size * _OF_MARKS if is_mark else self._size
            left += (width_of(letters) - self._width_of(size)(letters)) / 2
            yield Word(letters, left, base, size, "left", "baseline", colour=ink)

    def _legend(self, noun: str, *, are_masked: bool) -> Iterator[PageMark]:
        """The colour bar with its numbers, and the meaning of a frame and of grey letters."""
        unit = self._small / LABELS
        box = Box(_MARGIN, self.y, _BAR.width * unit, _BAR.height * unit)
        yield Image(box, self._colours.colours(self._colours.column(256)[::-1].T))
        yield from frame(box)
        self.y = box.bottom + 0.2 * unit
        for tick in self._colours.ticks():
            x = box.x + self._colours.place(tick) * box.width
            yield Stroke((x, box.bottom), (x, box.bottom + _TICK))
            yield Word(with_minus_sign(f"{tick:.4g}"), x, self.y - 0.02, self._small, "center", "baseline")
        told = f"weight of a {noun} · framed: the query" + (" · grey: masked" if are_masked else "")
        right = box.right + 0.2 + self.letters.inches(told, self._small)
        if right > _MARGIN + self._width:
            yield from self._sentence(told, self._small, None)
            return
        self.right = max(self.right, right)
        yield Word(told, box.right + 0.2, box.bottom, self._small, "left", "baseline")


def _check_width(canvas: Canvas, width: float) -> None:
    """Raise `UsageError` if lines of this width hold no words."""
    least = _LEAST * canvas.size * LARGER / INCH
    if width < least:
        raise too_narrow(canvas, least - width, "a text")


def _hexadecimal(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour[:3])
