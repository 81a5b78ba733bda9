"""How commands present their results: the files they write, and the lines above a table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.commands.options import PictureOptions
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.safe_text import label
from attn_cli.show.writers import STEPS, Content, FileKind, Picture, either
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.grid import Grid
    from attn_cli.reading.reading import Reading
    from attn_cli.vocabulary import Pattern

_CELLS = 1024  # along each side of a picture: a screen has no more pixels
_FEWEST_CELLS = 128  # of one head among many


def show_reading(world: World, reading: "Reading", most: int = 12) -> None:
    """The model in one line, then the tokens on at most `most` lines."""
    from attn_cli.show.terminal.lists import Paragraph  # rich: 0.06 s

    world.screen.print(Paragraph(headline(reading), between=" · "))
    for tokens in filter(None, (reading.tokens, reading.texts.target)):
        texts = [f"{token.position} {label(token.text)}" for token in tokens]
        world.screen.print(Paragraph(texts, rest="the other tokens: attn tokens", most=most))


def headline(reading: "Reading") -> list[str]:
    """The model, its size, and the library, number format and device, as phrases."""
    card, backend = reading.source.card, reading.source.backend
    return [
        *dict.fromkeys((card.name, card.type)),
        size(card.layers, card.heads, card.head_size),
        *(() if reading.kind is Kind.SELF else (f"{reading.kind} attention",)),
        _counted(len(reading.tokens), "token"),
        f"{backend.name}, {backend.dtype}, {backend.device}",
    ]


def known_for(heads: "Mapping[Pattern, Sequence[tuple[str, float]]]") -> list[tuple[str, str]]:
    """A line per pattern: its name, and the heads known for it with their scores."""
    return [
        (pattern, "  ".join(f"{name} {score:.2f}" for name, score in known))
        for pattern, known in heads.items()
    ]


def size(layers: int, heads: int, features: int) -> str:
    """How large a model's attention is."""
    return f"{_counted(layers, 'layer')} × {_counted(heads, 'head')} of {features} features"


def title(reading: "Reading", what: str, grid: "Grid") -> str:
    """The title of a picture of such grids."""
    return " · ".join(filter(None, (what, grid.pooled, reading.source.card.name)))


def fitting(world: World, reading: "Reading", digits: int) -> int:
    """How many rows and columns of averages fit the terminal."""
    from attn_cli.show.terminal.table import pooled_columns  # rich: 0.06 s

    longest = max(reading.whole.queries, reading.whole.keys)
    return pooled_columns(world.screen.width, longest, digits)


def shared_out(heads: int) -> int:
    """How many rows and columns each head gets in a file: about 1,024 × 1,024 for all heads together."""
    return max(_FEWEST_CELLS, int(_CELLS / heads**0.5))


def check_pooled(targets: Mapping[Path, str]) -> None:
    """Raise `UsageError` for a kind of file that cannot say that its numbers are averages.

    Raises:
        UsageError: there is one.
    """
    for suffix in targets.values():
        if suffix in STEPS.numbers_only:
            problem = f"{suffix} cannot say that the weights of a long text are averages over blocks"
            others = either(other for other in STEPS if other not in STEPS.numbers_only)
            raise UsageError(problem, f"--rows 0-19, or {others}")


def write(
    world: World,
    targets: Mapping[Path, str],
    kind: FileKind[Content],
    content: Callable[[], Content],
    *,
    force: bool,
) -> None:
    """Write the `targets` of this kind; `content` is only called if there are any."""
    from attn_cli.show import files

    of_kind = {path: suffix for path, suffix in targets.items() if suffix in kind}
    if of_kind:
        held = content()
        for path, suffix in of_kind.items():
            files.write(path, kind.encode(suffix, held), force=force)
            world.fact(f"wrote {path}")


def drawn(
    world: World, groups: "Sequence[Sequence[Sequence[Grid]]]", title: str, options: PictureOptions
) -> Picture:
    """The groups of panels, one below the other, as a picture; a group shares one scale."""
    from attn_cli.show import picture  # matplotlib, when it draws: 0.4 s

    drawing = picture.page(groups, title, options.cmap)
    if drawing.missing:
        world.note(f"no installed font has {' '.join(drawing.missing)}: spelled out in the picture")
    return Picture(drawing, options.dpi)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
