"""A font from a file: checked, and made known to matplotlib under a name of its own."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.errors import AttnError, UsageError
from attn_cli.safe_text import printable

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

_TRUETYPE = {b"\x00\x01\x00\x00", b"true"}
_CFF = b"OTTO"  # an .otf file with CFF outlines
_OTHERS = {
    b"ttcf": "a collection of several fonts",
    b"wOFF": "a web font",
    b"wOF2": "a web font",
    b"%!PS": "a Type 1 font",
    b"\x80\x01": "a Type 1 font",
}
_HINT = "--font NAME.ttf or NAME.otf, or leave out --font"


def known_font(path: Path) -> str:
    """The family name under which matplotlib finds the font in the file.

    Raises:
        UsageError: it is not a font, is damaged, or cannot be read.
    """
    from matplotlib.font_manager import fontManager, ttfFontProperty  # 0.1 s

    getLogger("fontTools").setLevel(ERROR)  # it remarks on dates in the font when a .pdf is written
    try:
        font = _opened(path)
        entry = ttfFontProperty(font)
    except (RuntimeError, KeyError, ValueError, UnicodeError) as error:
        raise UsageError(
            f"--font {printable(str(path))} is damaged: no font can be read from it", _HINT
        ) from error
    family, of_file = printable(entry.name) or path.stem, str(path.resolve())
    names = (family, f"{family} {printable(font.style_name)}", f"{family} ({of_file})")
    installed = {known.name for known in fontManager.ttflist}
    name = next(name for name in names if name not in installed or _is_of(name, of_file))
    if name not in installed:
        with suppress(RuntimeError, KeyError, ValueError):
            fontManager.addfont(of_file)  # which also makes it forget what it found before
        # Whatever the font says of its weight: it is the one that is asked for.
        own = replace(entry, fname=of_file, name=name, style="normal", variant="normal", weight=400)
        fontManager.ttflist.insert(0, replace(own, stretch="normal"))
    return name


@contextmanager
def refusing_damage(path: Path | None) -> Iterator[None]:
    """Raise `UsageError` if drawing in the font of the file fails: it may be damaged anywhere.

    FreeType and fontTools read a font bit by bit, and raise all kinds of exceptions.
    """
    try:
        yield
    except AttnError:
        raise
    except Exception as error:
        if path is None:
            raise
        raise UsageError(f"--font {printable(str(path))} is damaged: it cannot be drawn in", _HINT) from error


def _is_of(name: str, file: str) -> bool:
    """Whether the font of this family is the one in the file."""
    from matplotlib.font_manager import FontProperties, findfont  # paid in `known_font`

    return str(Path(findfont(FontProperties(family=[name]))).resolve()) == file


def is_truetype(family: str) -> bool:
    """Whether a font has TrueType outlines; other fonts cannot be embedded as TrueType."""
    from matplotlib.font_manager import FontProperties, findfont  # paid in `known_font` or `letters_for`

    with Path(findfont(FontProperties(family=[family]))).open("rb") as file:
        return file.read(4) in _TRUETYPE


def _signature(path: Path) -> bytes:
    """The first four bytes of the file.

    Raises:
        UsageError: it does not exist, or cannot be read.
    """
    shown = printable(str(path))
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            why = "it is a directory" if path.is_dir() else "it is no file"
            raise UsageError(f"--font {shown} cannot be read: {why}", _HINT)
        with path.open("rb") as file:
            return file.read(4)
    except FileNotFoundError as error:
        raise UsageError(f"--font {shown} does not exist", "check the path after --font") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"--font {shown} cannot be read: {why}", _HINT) from error


def _opened(path: Path) -> "FT2Font":
    """The font in the file.

    Raises:
        UsageError: it is not a font, or cannot be read.
        RuntimeError: it is damaged.
    """
    from matplotlib.ft2font import FT2Font  # paid in `known_font`

    shown = printable(str(path))
    signature = _signature(path)
    if signature not in {*_TRUETYPE, _CFF}:
        is_what = _OTHERS.get(signature) or _OTHERS.get(signature[:2])
        problem = f"--font {shown} is {is_what or 'not a font'}: it must be a .ttf or .otf file"
        raise UsageError(problem, _HINT)
    font = FT2Font(str(path))
    font.set_size(10, 72)
    if font.get_char_index(ord("n")):
        font.load_char(ord("n"))
    return font
