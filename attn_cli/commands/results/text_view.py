"""`--as-text`: the text itself, shaded by the weights of one or a few queries, in place of a matrix."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attn_cli.commands.inputs import check_steps, chosen_window, selected_heads, selected_places
from attn_cli.commands.options import (
    ScaleOptions,
    TableOptions,
    TextViewOptions,
    WindowOptions,
)
from attn_cli.commands.results.hidden import remarks_on_empty_rows
from attn_cli.commands.results.output import as_picture, counted, headline
from attn_cli.commands.results.weight_scale import scale_of_texts
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.safe_text import label
from attn_cli.show.writers import Picture
from attn_cli.vocabulary import WRITTEN, Step

if TYPE_CHECKING:
    from attn_cli.answers.shaded_text import ShadedText
    from attn_cli.commands.pictures.options import PictureOptions
    from attn_cli.grid import Head
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Selection
    from attn_cli.reading.window import Window
    from attn_cli.show.picture.canvas import Canvas

_MOST = 64  # texts below one another
_MOST_OF_IT = 0.5  # of a row: if the first token takes more, little else has a shade


def check_text_view(options: TextViewOptions, steps: Collection[Step] | None) -> None:
    """Check the options that belong to --as-text.

    Raises:
        UsageError: `--mean` without it, or other steps than weights.
    """
    if options.mean and not options.as_text:
        raise UsageError("--mean applies only to --as-text", "--as-text --mean, or leave out --mean")
    others = [step for step in steps or () if step is not Step.WEIGHTS]
    if options.as_text and others:
        raise UsageError(f"--as-text shows weights, not {others[0]}", "leave out -s, or leave out --as-text")


def texts_of(
    world: World, reading: "Reading", chosen: "Selection", options: WindowOptions, *, is_mean: bool
) -> "tuple[Sequence[Head], Sequence[ShadedText]]":
    """The chosen heads, and the text once for each of their rows, or for each row of their mean.

    Raises:
        UsageError: the choice is malformed or out of range, or there are too many texts.
    """
    from attn_cli.reading.text_weights.shading import shaded_texts

    if options.rows is None:
        options = replace(options, rows=_default_row(world, reading))
    window = chosen_window(world, reading, options, (Step.WEIGHTS,), 1)
    whole = replace(window, columns=range(window.keys))
    _check_count(len(window.rows), 1, is_mean=True)
    heads = _heads(world, reading, chosen, whole, is_mean=is_mean)
    check_steps(world, reading, heads)
    texts = shaded_texts(reading, heads, window.columns, is_mean=is_mean)
    for remark in (*remarks_on_empty_rows(reading, heads), *_remarks_on_the_first_token(reading, texts)):
        world.note(remark)
    return heads, texts


def show_texts(
    world: World,
    reading: "Reading",
    texts: "Sequence[ShadedText]",
    options: TableOptions,
    scale: ScaleOptions,
) -> None:
    """Print the model and the texts."""
    from attn_cli.show.terminal.lists import Paragraph  # rich: 0.06 s
    from attn_cli.show.terminal.shaded_text import ShadedTexts

    world.screen.print(Paragraph(headline(reading), between=" · "))
    world.say("")
    theme = world.theme(options.theme)
    shown = scale_of_texts(scale)
    world.screen.print(ShadedTexts(texts, shown, digits=options.digits, top=options.top, theme=theme))


def drawn_texts(
    world: World,
    reading: "Reading",
    heads: "Sequence[Head]",
    texts: "Sequence[ShadedText]",
    options: "PictureOptions",
    canvas: "Canvas",
    scale: ScaleOptions,
) -> Picture:
    """A picture of the texts, under the heads and the model."""
    from attn_cli.commands.pictures.heading import heading_of  # only of pictures
    from attn_cli.show.picture.text_page import text_page  # imports matplotlib when it draws: 0.4 s

    written = f"generated from {WRITTEN} on" if reading.written else ""
    tokens = " · ".join(filter(None, (counted(len(reading.keys), texts[0].unit), written)))
    places = [(head.layer, head.head) for head in heads]
    heading = heading_of(world, reading, options, places, tokens, says_text=False)
    shown = scale_of_texts(scale)
    return as_picture(world, lambda: text_page(texts, heading, canvas, shown), options)


def _heads(
    world: World, reading: "Reading", chosen: "Selection", window: "Window", *, is_mean: bool
) -> "list[Head]":
    """The chosen heads; by default the one that stands out, or all heads for a mean."""
    if chosen.is_empty and not is_mean:
        return selected_heads(world, reading, chosen, (Step.WEIGHTS,), window)
    from attn_cli.reading.steps import head_steps  # NumPy: 0.1 s

    places = selected_places(world, reading, chosen)
    _check_count(len(window.rows), len(places), is_mean=is_mean)
    return head_steps(reading, places, (Step.WEIGHTS,), window)


def _default_row(world: World, reading: "Reading") -> str:
    """The tokens of the last query that is part of the text; a remark names it."""
    queries = reading.queries
    own = [place for place, each in enumerate(queries) if not each.special and each.end > each.start]
    place = own[-1] if own else -1
    row = queries[place]
    if len(queries) > 1:
        other = f"others: --rows {queries[0].position}, or a word of the text"
        world.note(f"the row of {row.position} {label(row.text)} is shown; {other}")
    return str(row.position) if reading.words is None else _listed(reading.words.queries.members[place])


def _listed(positions: Sequence[int]) -> str:
    return ",".join(map(str, positions))


def _remarks_on_the_first_token(reading: "Reading", texts: "Sequence[ShadedText]") -> Iterator[str]:
    """Whether the first token takes more than half of the weight, so that little else has a shade."""
    others = len(reading.keys) - 1
    taken = [text.weight_of(0) for text in texts if text.masked_tokens < others]
    most = [weight for weight in taken if weight > _MOST_OF_IT]
    if most:
        name = f'"{label(reading.keys[0].text)}" (0)'
        where = f"more than half of the weight in {len(most)} of {len(texts)} texts"
        takes = f"{most[0]:.2f} of the weight" if len(texts) == 1 else where
        yield f"{name} takes {takes}; --hide first shades the rest"


def _check_count(rows: int, heads: int, *, is_mean: bool) -> None:
    texts = rows if is_mean else rows * heads
    if texts > _MOST:
        of = (
            counted(rows, "row")
            if heads == 1 or is_mean
            else f"{counted(rows, 'row')} of {counted(heads, 'head')}"
        )
        problem = f"--as-text shows at most {_MOST} texts below one another, and {of} are {texts:,}"
        raise UsageError(problem, "--rows -1" if rows > 1 else "--mean, or fewer heads: -l, -H or --heads")
