"""Outputs that take nothing, that are no place, or that are one another."""

from collections.abc import Iterator

from tests.hostile.cases import TEXT, Case, Place, line
from tests.hostile.processes import Line

_FULL = "a full disk behind the output"
_PLACE = "an output that is no place for a file"
_SHOWN = "a value from outside on the screen"


def _loop(place: Place) -> Line:
    (place.folder / "a.csv").symlink_to("b.csv")
    (place.folder / "b.csv").symlink_to("a.csv")
    return Line(("heads", TEXT, "-o", "a.csv"))


def _twice(place: Place) -> Line:
    (place.folder / "here").symlink_to(place.folder)
    return Line(("heatmap", TEXT, "-o", "a.png", "-o", "here/a.png"))


def _in_no_folder(place: Place) -> Line:
    return Line(("heads", TEXT, "-o", place.file("a", "x") / "b.csv"))


def _named(place: Place) -> Line:
    return Line(("inspect", TEXT, "-m", place.folder / ("\x1b[2J[red]" + "m" * 200)))


def cases() -> Iterator[Case]:
    """Of these three kinds."""
    for words in (("inspect", TEXT), ("heads", TEXT, "--json"), ("tokens", TEXT), ("--help",)):
        yield Case(_FULL, " ".join(words), line(*words, stdout="/dev/full"), "no space left on device")
    yield Case(_PLACE, "a loop of links", _loop, "not a file, but a loop of links: a.csv")
    yield Case(_PLACE, "one file by two names", _twice, "the file is named twice: a.png", 2)
    yield Case(_PLACE, "a folder that is a file", _in_no_folder, "not a directory: ")
    yield Case(_PLACE, "/dev/full", line("heads", TEXT, "-o", "/dev/full"), "/dev/full", 2)
    yield Case(_SHOWN, "a model's name with control characters", _named, r"\\x1b\[2J\[red\]")
    wide = line("inspect", TEXT, environment={"COLUMNS": "9" * 21})
    yield Case(_SHOWN, "COLUMNS of 21 digits", wide, "storybook", 0)
    accents = line("tokens", "a" + "\u0301" * 10_000 + " b", "-m", "random")
    yield Case(_SHOWN, "a token of 10,000 accents", accents, "^position  id  piece", 0)
