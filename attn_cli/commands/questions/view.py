"""Where an answer goes: files, standard output, and how pictures are drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.commands.pictures.options import PictureOptions
from attn_cli.record import record

if TYPE_CHECKING:
    from attn_cli.show.picture.canvas import Canvas


@record(frozen=True, slots=True)
class View:
    """The files to write, with their suffixes, and whether standard output has the JSON object."""

    files: Mapping[Path, str]
    canvas: "Canvas"
    pictures: PictureOptions
    as_json: bool
    force: bool
