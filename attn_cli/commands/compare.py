"""`attn compare`: the distances between heads, and their weights side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from attn_cli.commands import options
from attn_cli.commands.inputs import chosen_window, open_reading, selected_places, selection
from attn_cli.commands.pictures.canvas import canvas_of, with_features
from attn_cli.commands.pictures.heading import heading_of
from attn_cli.commands.pictures.options import PictureOptions
from attn_cli.commands.results.hidden import (
    hidden_keys_in,
    hidden_keys_of,
    remarks_on_empty_rows,
    rows_compared,
)
from attn_cli.commands.results.output import (
    PICTURE_CELLS,
    drawn,
    fitting,
    shared_out,
    show_hidden,
    show_reading,
    write,
)
from attn_cli.commands.results.weight_scale import check_scale, scale_of_pictures, scale_of_tables
from attn_cli.commands.results.words import words_of
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.show.writers import COMPARISONS, PICTURES, Picture, Results
from attn_cli.vocabulary import Distance, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_cli.analysis.comparison import Comparison
    from attn_cli.grid import Grid, Head, Sides
    from attn_cli.reading.reading import Reading
    from attn_cli.show.scale import StepScale

_FILES = f"Write a picture ({PICTURES}) or data ({COMPARISONS}) instead; may be repeated."
_FEWEST = 2
_MOST_SHOWN = 4  # matrices; for more heads only distances are printed


_DistanceOption: TypeAlias = Annotated[
    Distance,
    typer.Option(
        "-d",
        "--distance",
        metavar="DISTANCE",
        help="How to measure the distance, as listed below: from 0 (identical) to 1 (nothing in common).",
        rich_help_panel=Topic.SHOW,
    ),
]

EXAMPLES = """
Two heads and their difference:
    attn compare "the cat sat" --heads 0.1,3.4
Which heads of layer 2 are alike:
    attn compare "the cat sat" -l 2 -d total-variation
The same as a picture:
    attn compare "the cat sat" -l 2 -d total-variation -o layer.png
"""


def compare_heads(
    world: World,
    *,
    inputs: options.ReadingOptions,
    distance: _DistanceOption = Distance.JENSEN_SHANNON,
    table: options.TableOptions,
    window: options.WindowOptions,
    scale: options.ScaleOptions,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
    as_json: options.Json = False,
    force: options.Force = False,
    picture_options: PictureOptions,
    compute: options.ComputeOptions,
) -> None:
    """Compare heads: side by side, by distance, by difference.

    Name two or more heads. Up to four are shown side by side, then the distance between any two; for two
    heads also their difference, the first one's weights minus the second one's.

    Distances are averaged over all rows, or over --rows; attn heads --definitions has their formulas. The
    keys that --hide hides count as one more key; with --renormalize only the others do. Beyond 1,024 tokens,
    the matrices are averaged over blocks. Colours of weights span 0 to 1, those of a difference its own
    range. Data files have the distances and the difference, .csv only the distances.
    """
    chosen = selection(inputs)
    if chosen.is_empty:
        raise UsageError("compare needs two or more heads: none were given", "--heads 0.1,3.4")
    from attn_cli.reading.compare import compare_places  # NumPy: 0.1 s
    from attn_cli.reading.document import describe_reading
    from attn_cli.show import data, files

    targets = files.targets(out or (), (*PICTURES, *COMPARISONS), force=force)
    canvas = canvas_of(picture_options, targets)
    compute = with_features(compute, picture_options, inputs.source.model)
    check_scale(scale, (Step.WEIGHTS,))
    reading = open_reading(world, inputs, compute, are_words=window.words)
    places = selected_places(world, reading, chosen)
    if len(places) < _FEWEST:
        raise UsageError("compare needs two or more heads: one was given", "--heads 0.1,3.4")
    is_text = not (as_json or targets)
    is_picture = not as_json and all(suffix in PICTURES for suffix in targets.values())
    cells = shared_out(len(places), PICTURE_CELLS) if is_picture else shared_out(len(places))
    most = fitting(world, reading, table.digits, window.hiding.hide) if is_text else cells
    shown = chosen_window(world, reading, window, (Step.WEIGHTS,), most)
    heads, comparison = compare_places(reading, places, distance, shown)
    if is_text:
        show_reading(world, reading, heads[0])
        show_hidden(world, reading, hidden_keys_in(heads[0]))
        weights = _weights(reading.sides, heads, scale_of_tables(scale, heads))
        _show(world, reading, weights, _beside(comparison, weights), table)
        rows = rows_compared(heads[0])
        world.note(f"{distance}: {distance.explanation}; the mean over the rows{rows}, from 0 to 1")
        _remark(world, reading, heads)
        return
    answer = describe_reading(reading) | comparison.fields()

    def drawing() -> Picture:
        weights = _weights(reading.sides_of_pictures, heads, scale_of_pictures(world, scale, heads))
        groups = [[weights], *([[grid]] for grid in _beside(comparison, weights))]
        hidden = hidden_keys_of(reading, hidden_keys_in(heads[0]))
        name = heading_of(world, reading, picture_options, places, words_of(reading), hidden)
        return drawn(world, groups, name, picture_options, canvas)

    write(world, targets, PICTURES, drawing, force=force)
    write(world, targets, COMPARISONS, lambda: Results(answer), force=force)
    if as_json:
        world.say(data.as_json(answer))
    _remark(world, reading, heads)


def _remark(world: World, reading: "Reading", heads: "Sequence[Head]") -> None:
    """Remark on the rows that cannot be renormalized."""
    for remark in remarks_on_empty_rows(reading, heads):
        world.note(remark)


def _weights(sides: "Sides", heads: "Sequence[Head]", scale: "StepScale") -> "list[Grid]":
    """The weights of the heads, all on one scale."""
    from attn_cli.show.grids import step_grid

    return [step_grid(sides, head, Step.WEIGHTS, scale) for head in heads]


def _beside(comparison: "Comparison", weights: "Sequence[Grid]") -> "list[Grid]":
    """The distances, and for two heads their difference."""
    from attn_cli.show.grids import difference_grid, distance_grid

    distances = distance_grid(comparison.distance, comparison.items, comparison.matrix)
    if comparison.difference is None:
        return [distances]
    one, other = weights
    sink = comparison.sink_difference
    return [distances, difference_grid(comparison.items, comparison.difference, one, other, sink)]


def _show(
    world: World,
    reading: "Reading",
    weights: "Sequence[Grid]",
    beside: "Sequence[Grid]",
    table: options.TableOptions,
) -> None:
    """The weights of a few heads, the distances, and for two heads their difference."""
    from attn_cli.show.grids import summed_cells
    from attn_cli.show.terminal.matrices import Matrices  # rich: 0.06 s

    theme = world.theme(table.theme)
    if len(weights) <= _MOST_SHOWN:
        world.say("")
        summed = [summed_cells(reading.sides, grid) for grid in weights]
        world.screen.print(Matrices(*summed, digits=table.digits, top=table.top, theme=theme))
    else:
        world.note(
            f"more than {_MOST_SHOWN} heads: only distances are printed; -o FILE.png draws the weights too"
        )
    for grid in (summed_cells(reading.sides, grid) for grid in beside):
        world.say("")
        top = table.top if grid.are_tokens else None
        world.screen.print(Matrices(grid, digits=table.digits, top=top, theme=theme))
