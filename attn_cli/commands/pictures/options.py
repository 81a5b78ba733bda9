"""The options of commands that draw pictures; others do not load them."""

from pathlib import Path
from typing import Annotated

import typer

from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.vocabulary import Theme


@record(frozen=True, slots=True)
class PictureOptions:
    """How pictures are drawn.

    A number without a unit after `--width` is the width of the random layer, as in commands without pictures.
    """

    topic = Topic.SHOW
    title: Annotated[
        str | None,
        typer.Option(
            "--title",
            metavar="TEXT",
            help="Title of pictures; by default the text, the model, and the layer and head.",
            show_default=False,
        ),
    ] = None
    no_title: Annotated[bool, typer.Option("--no-title", help="Draw pictures without a title.")] = False
    width: Annotated[
        list[str] | None,
        typer.Option(
            "--width",
            metavar="LENGTH",
            help="Width of pictures: 3.3in, 8.5cm, 84mm or 1200px (pixels of a .png); the height follows. "
            "With -m random also the features per token of the layer, a number without a unit.",
            show_default=False,
        ),
    ] = None
    font_size: Annotated[
        str | None,
        typer.Option(
            "--font-size",
            metavar="PT",
            help="Size of the labels in pictures, in points.",
            show_default="8",
        ),
    ] = None
    font: Annotated[
        Path | None,
        typer.Option(
            "--font",
            metavar="FILE",
            help="Font of pictures, a .ttf or .otf file.",
            show_default=False,
        ),
    ] = None
    transparent: Annotated[
        bool, typer.Option("--transparent", help="Draw pictures without a background.")
    ] = False
    theme: Annotated[
        Theme,
        typer.Option(
            "--theme",
            metavar="THEME",
            help="Background of pictures: paper or light (white), or dark.",
            show_default="paper",
        ),
    ] = Theme.AUTO
    cmap: Annotated[
        str | None,
        typer.Option("--cmap", metavar="NAME", help="Matplotlib colour map of pictures.", show_default=False),
    ] = None
    dpi: Annotated[
        int,
        typer.Option(
            "--dpi",
            min=10,
            max=2400,
            metavar="N",
            help="Resolution of .png, in pixels per inch; of .svg and .pdf only for cells of long texts.",
        ),
    ] = 150
