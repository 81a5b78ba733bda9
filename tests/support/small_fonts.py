"""Fonts of a few letters, each a box, as .ttf or .otf files."""

from pathlib import Path
from string import ascii_lowercase
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen

_UNITS = 1000


def write_font(path: Path, family: str, letters: str = ascii_lowercase, wide: int = 500) -> Path:
    """A font of these letters and the space, each `wide` thousandths of its size."""
    is_truetype = path.suffix == ".ttf"
    names = {letter: f"uni{ord(letter):04X}" for letter in {*letters, " "}}
    glyphs = [".notdef", *names.values()]
    builder = FontBuilder(_UNITS, isTTF=is_truetype)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(letter): name for letter, name in names.items()})
    if is_truetype:
        builder.setupGlyf({name: _box(TTGlyphPen(None), wide, name).glyph() for name in glyphs})
    else:
        strings = {name: _box(T2CharStringPen(wide, {}), wide, name).getCharString() for name in glyphs}
        builder.setupCFF(f"{family}-Regular", {"FullName": family}, strings, {})
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (wide, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular", "psName": f"{family}-Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)
    return path


def _box(pen: Any, wide: int, name: str) -> Any:
    if name != "uni0020":
        corners = [(50, 0), (50, 700), (wide - 50, 700), (wide - 50, 0)]
        pen.moveTo(corners[0])
        for corner in corners[1:]:
            pen.lineTo(corner)
        pen.closePath()
    return pen
