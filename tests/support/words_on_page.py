"""Where the words of a picture stand, measured with its fonts: whether any is cut off or lies on another."""

from collections.abc import Iterator
from itertools import combinations

from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.marks import INCH, Box, Drawing, Word

_HIGH = {"top": 0.0, "center": -0.5, "bottom": -1.0, "baseline": -0.8}  # of the line, above its anchor
_WIDE = {"left": 0.0, "center": -0.5, "right": -1.0}
_LETTERS = 0.75  # of the size: the height of letters, without the space between lines
_SLACK = 0.01  # inches


def box_of(word: Word, drawing: Drawing) -> Box:
    """The place of a word on the page."""
    width = Letters(drawing.families, drawing.missing).inches(word.text, word.size)
    height = word.size * _LETTERS / INCH
    across, down = _WIDE[word.across] * width, _HIGH[word.down] * height
    if word.turned:  # reads upwards: what was to the right is above, what was below is to the right
        return Box(word.x + down, word.y - across - width, height, width)
    return Box(word.x + across, word.y + down, width, height)


def cut_off(drawing: Drawing) -> list[str]:
    """The words that are not wholly on the page."""
    return [
        word.text
        for word, box in _placed(drawing)
        if box.x < 0 or box.y < 0 or box.right > drawing.width or box.bottom > drawing.height
    ]


def overlapping(drawing: Drawing) -> list[tuple[str, str]]:
    """The pairs of words of which one lies on the other."""
    pairs = combinations(_placed(drawing), 2)
    return [(one.text, other.text) for (one, near), (other, far) in pairs if _meet(near, far)]


def _placed(drawing: Drawing) -> Iterator[tuple[Word, Box]]:
    return ((mark, box_of(mark, drawing)) for mark in drawing.marks if isinstance(mark, Word) and mark.text)


def _meet(one: Box, other: Box) -> bool:
    across = min(one.right, other.right) - max(one.x, other.x)
    down = min(one.bottom, other.bottom) - max(one.y, other.y)
    return across > _SLACK and down > _SLACK
