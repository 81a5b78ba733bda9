"""What commands do with what they found: files that are written, and the lines above a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.console import World

if TYPE_CHECKING:
    from attn_cli.core.grid import Grid, Head
    from attn_cli.pipeline import Reading


@dataclass(frozen=True, slots=True)
class Style:
    """How pictures are drawn."""

    cmap: str | None
    dpi: int


def show_reading(world: World, reading: "Reading") -> None:
    """What was read: the model in one line, then the tokens."""
    from attn_cli.pipeline import headline, numbered
    from attn_cli.show import terminal  # rich: 0.06 s

    terminal.paragraph(headline(reading), world.screen, between=" · ")
    terminal.paragraph(numbered(reading), world.screen, rest="the other tokens: attn tokens")


def write_data(
    world: World,
    targets: Mapping[Path, str],
    document: Mapping[str, object],
    heads: "Sequence[Head]",
    *,
    force: bool,
) -> None:
    """The document as every file of `targets`."""
    from attn_cli.show import data, files

    for path, suffix in targets.items():
        files.write(path, data.encode(suffix, document, heads), force=force)
        world.note(f"wrote {path}")


def write_pictures(
    world: World,
    targets: Mapping[Path, str],
    groups: "Sequence[Sequence[Sequence[Grid]]]",
    title: str,
    style: Style,
    *,
    force: bool,
) -> None:
    """The groups of panels, one below the other, as every file of `targets`; a group shares one scale."""
    if not targets:
        return
    from attn_cli.show import files, picture  # matplotlib, when it draws: 0.4 s

    page = picture.page(groups, title, style.cmap)
    for path, suffix in targets.items():
        files.write(path, picture.render(page, suffix, style.dpi), force=force)
        world.note(f"wrote {path}")
    if page.missing:
        world.note(f"no font here draws {' '.join(page.missing)}: spelled out in the picture")
