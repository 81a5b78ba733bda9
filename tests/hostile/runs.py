"""Directories of trainings that are damaged."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.hostile.cases import Build, Case, Place
from tests.hostile.processes import Line
from tests.support.small_run import OPTIONS, prepared, story

_DAMAGED = "a training that is damaged"


def _resumed(name: str, damage: Callable[[Path], object]) -> Build:
    """`attn train --resume` of a run, to one of whose files this was done."""

    def build(place: Place) -> Line:
        text = story(place.folder / "story.txt")
        damage(prepared(place.folder / "model", text).scratch / name)
        return Line(("train", text, "-o", place.folder / "model", *OPTIONS, "--steps", "6", "--resume"))

    return build


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _out_of_range(path: Path) -> None:
    np.full(5000, 999, np.uint16).tofile(path)


def cases() -> Iterator[Case]:
    """Of this kind."""
    for name, file, damage, says in (
        ("a named pipe", "run.json", _pipe, "is not a regular file"),
        ("a tokenizer on which Rust panics", "tokenizer.json", _garbage, "tokenizer.json is damaged"),
        ("ids out of range", "train.bin", _out_of_range, "are not ids of the"),
    ):
        yield Case(_DAMAGED, name, _resumed(file, damage), says)


def _garbage(path: Path) -> None:
    path.write_text('{"model": {"type": "BPE", "vocab": 3}}')
