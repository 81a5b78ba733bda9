"""The canvas of pictures, as `--width`, `--font-size`, `--font`, `--theme` and others describe it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.arguments.usage import listed, shortened
from attn_cli.commands.options import MOST_FEATURES, ComputeOptions
from attn_cli.commands.pictures.options import PictureOptions
from attn_cli.errors import UsageError
from attn_cli.safe_text import printable
from attn_cli.vocabulary import RANDOM, Theme

if TYPE_CHECKING:
    from attn_cli.show.picture.canvas import Canvas

_IN_INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4}
_PIXELS = "px"
_UNITS = (*_IN_INCHES, _PIXELS)
_NARROWEST, _WIDEST = 1.0, 100.0  # inches: a column of a page has 3.3
_ROUNDING = 1e-9  # so that pixels → inches → pixels gives the same number
_USUAL_WIDTH, _USUAL_SIZE = "--width 3.3in", "--font-size 8"


def canvas_of(options: PictureOptions, targets: Mapping[Path, str]) -> "Canvas":
    """The canvas that the options describe, checked before anything is read; `targets`: files, suffixes.

    Raises:
        UsageError: a width or a size is malformed or out of range, the font is none, there is no such colour
            map, a title is given and refused, or nothing is drawn.
    """
    from attn_cli.show.picture.canvas import LABELS, Canvas  # only commands that draw have a canvas

    _check_drawn(options, targets)

    if options.no_title and options.title is not None:
        problem = f"--title and --no-title contradict each other: '{shortened(printable(options.title))}'"
        raise UsageError(problem, "leave one of them out")
    lengths = [width for width in options.width or () if not _is_features(width)]
    canvas = Canvas(
        width=_inches(_only(lengths), options.dpi) if lengths else None,
        size=LABELS if options.font_size is None else _points(options.font_size),
        font=options.font,
        cmap=options.cmap,
        is_dark=options.theme is Theme.DARK,
        is_transparent=options.transparent,
    )
    _check_resources(canvas)
    return canvas


def _check_drawn(options: PictureOptions, targets: Mapping[Path, str]) -> None:
    """Raise `UsageError` if there is an option for pictures, and no picture is written."""
    from attn_cli.show.writers import PICTURES  # imported by all commands that draw

    if any(suffix in PICTURES for suffix in targets.values()):
        return
    given = {
        "--title": options.title is not None,
        "--no-title": options.no_title,
        "--width": not all(map(_is_features, options.width or ())),
        "--font-size": options.font_size is not None,
        "--font": options.font is not None,
        "--transparent": options.transparent,
        "--cmap": options.cmap is not None,
    }
    for option in (option for option, is_given in given.items() if is_given):
        problem = f"{option} applies only to pictures: no picture is written"
        raise UsageError(problem, f"-o FILE.png, or leave out {option}")


def with_features(compute: ComputeOptions, options: PictureOptions, model: str) -> ComputeOptions:
    """The same, with the width of the random layer: what `--width` gives as a number without a unit.

    Raises:
        UsageError: it is out of range, or the model is not random, so that a unit is missing.
    """
    plain = [width for width in options.width or () if _is_features(width)]
    if not plain:
        return compute
    typed = _only(plain)
    if model != RANDOM:
        raise _without_unit(typed)
    features = int(typed) if len(typed) < 10 else MOST_FEATURES + 1  # noqa: PLR2004  digits
    if not 1 <= features <= MOST_FEATURES:
        problem = f"--width takes a whole number from 1 to {MOST_FEATURES}, not '{shortened(typed)}'"
        hint = f"--width {min(max(features, 1), MOST_FEATURES)}, or for the picture {_USUAL_WIDTH}"
        raise UsageError(problem, hint)
    return replace(compute, features=features)


def _check_resources(canvas: "Canvas") -> None:
    """Raise `UsageError` if the font is none or there is no such colour map."""
    from attn_cli.show import picture  # imports matplotlib only for a font or a colour map

    picture.check_canvas(canvas)


def _is_features(width: str) -> bool:
    """Whether a value of --width has no unit."""
    return re.fullmatch(r"\s*[-+]?\d+\s*", width, re.ASCII) is not None


def _only(values: Sequence[str]) -> str:
    """The single value that was given; values without a unit and lengths are told apart."""
    if len(values) > 1:
        times = "twice" if len(values) == 2 else f"{len(values)} times"  # noqa: PLR2004
        shown = listed([f"'{shortened(printable(value))}'" for value in values])
        raise UsageError(f"--width is given {times}: {shown}", "leave one of them out")
    return values[0]


def _without_unit(typed: str) -> UsageError:
    problem = f"the width of a picture needs a unit: '{shortened(typed)}' has none"
    pixels = int(typed) if len(typed) < 6 else 0  # noqa: PLR2004  digits
    pixels = pixels if pixels >= 100 else 1200  # noqa: PLR2004  fewer are no picture
    return UsageError(problem, f"--width {pixels}{_PIXELS}, or {_USUAL_WIDTH}")


def _inches(typed: str, dpi: int) -> float:
    """The length in inches; pixels are those of a .png at `dpi`."""
    number, unit = _parts(typed)
    inches = number / dpi * (1 + _ROUNDING) if unit == _PIXELS else number * _IN_INCHES[unit]
    if not _NARROWEST <= inches <= _WIDEST:
        at = f" at --dpi {dpi}" if unit == _PIXELS else ""
        low, high = (_in_unit(end, unit, dpi) for end in (_NARROWEST, _WIDEST))
        problem = f"--width {_shown(typed)} is out of range: a picture is {low} to {high} wide{at}"
        raise UsageError(problem, _USUAL_WIDTH if unit != _PIXELS else f"--width {max(1200, 2 * dpi)}px")
    return inches


def _in_unit(inches: float, unit: str, dpi: int) -> str:
    if unit == _PIXELS:
        return f"{round(inches * dpi)}{unit}"
    return f"{inches / _IN_INCHES[unit]:.4g}{unit}"


def _parts(typed: str) -> tuple[float, str]:
    """The number and the unit of a length, such as `8.5cm`.

    Raises:
        UsageError: it has no number, or another unit.
    """
    written, unit = _split(typed)
    number = _number(written)
    if unit in _UNITS and number is not None:
        return number, unit
    shown = _shown(typed)
    if number is not None:
        what = f"the unit '{_shown(unit)}'" if unit else "no unit"
        problem = f"--width {shown} has {what}: it must be one of {', '.join(_UNITS)}"
        raise UsageError(problem, next(_in_known_units(number, unit)))
    decimal = _number(written.replace(",", "."))
    hint = f"--width {written.replace(',', '.')}{unit}" if unit in _UNITS and decimal else _USUAL_WIDTH
    raise UsageError(f"--width takes a number with a unit ({', '.join(_UNITS)}), not '{shown}'", hint)


def _in_known_units(number: float, unit: str) -> Iterator[str]:
    """A length that was probably meant, with a unit that is known."""
    known = {"pt": ("in", 1 / 72), '"': ("in", 1), "inch": ("in", 1), "inches": ("in", 1), "m": ("cm", 100)}
    if unit in known:
        name, factor = known[unit]
        yield f"--width {number * factor:.3g}{name}"
    yield f"{_USUAL_WIDTH}, 8.5cm, 84mm or 1200px"


def _split(typed: str) -> tuple[str, str]:
    """The number and the unit as they were typed."""
    stripped = typed.strip().casefold()
    unit = re.search(r"[^\W\d_]*[\"”″%']*$", stripped)
    assert unit is not None, "it may be empty"
    written = stripped[: unit.start()].strip()
    return (written, unit.group()) if written else (stripped, "")


def _points(typed: str) -> float:
    """A size of type, with or without its unit.

    Raises:
        UsageError: it is no number, or out of range.
    """
    from attn_cli.show.picture.canvas import LARGEST, SMALLEST  # only commands that draw have a canvas

    number = _number(typed.strip().casefold().removesuffix("pt").strip())
    if number is None or not SMALLEST <= number <= LARGEST:
        problem = f"--font-size takes points from {SMALLEST:g} to {LARGEST:g}, not '{_shown(typed)}'"
        nearest = None if number is None else min(max(number, SMALLEST), LARGEST)
        raise UsageError(problem, _USUAL_SIZE if nearest is None else f"--font-size {nearest:g}")
    return number


def _number(text: str) -> float | None:
    """The number that was typed, in digits; None if it is none, or not finite."""
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", text, re.ASCII):
        return None
    number = float(text)
    return number if isfinite(number) else inf


def _shown(typed: str) -> str:
    return shortened(printable(typed.strip()))
