"""What a .pdf of ours says of its page, fonts and sizes of type, read from its bytes."""

import re
import zlib
from collections.abc import Iterator


def page_size(pdf: bytes) -> tuple[float, float]:
    """The width and the height of the page, in points."""
    (found,) = re.findall(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+) *\]", pdf)
    width, height = map(float, found)
    return width, height


def embedded_fonts(pdf: bytes) -> list[str]:
    """The names of the fonts whose TrueType outlines are in the file, without the tag of a subset."""
    names = re.findall(rb"/Subtype /CIDFontType2[^/]*|/BaseFont /[A-Z]{6}\+([\w-]+)", pdf)
    assert pdf.count(b"/FontFile2") == pdf.count(b"/CIDFontType2"), "every font is embedded"
    return sorted({name.decode() for name in names if name})


def type_sizes(pdf: bytes) -> set[float]:
    """The sizes of type on the page, in points."""
    found = (re.findall(rb"/\w+ ([\d.]+) Tf", stream) for stream in _streams(pdf))
    return {float(size) for sizes in found for size in sizes}


def outlines(pdf: bytes) -> set[bytes]:
    """The first four bytes of each font program: which kind of outlines it has."""
    return {stream[:4] for stream in _streams(pdf) if stream[:4] in {b"OTTO", b"\x00\x01\x00\x00", b"true"}}


def _streams(pdf: bytes) -> Iterator[bytes]:
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            yield zlib.decompress(found[1])
        except zlib.error:
            continue
