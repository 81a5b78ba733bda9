"""`attn compare`: heads against heads."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options as given
from attn_cli.commands.answering import drawn, fitting, shared_out, show_reading, title, write
from attn_cli.commands.asking import Options, places, portion, reading_of, selection
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.show.writers import COMPARISONS, PICTURES, Results
from attn_cli.vocabulary import Distance, DType, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_cli.core.grid import Grid

_FILES = f"Write a picture ({PICTURES}) or data ({COMPARISONS}); may be repeated."
_FEWEST = 2
_MOST_SHOWN = 4  # matrices; of more heads only the distances are printed


def compare(
    context: typer.Context,
    text: given.Text = None,
    file: given.File = None,
    pair: given.Pair = None,
    target: given.Target = None,
    kind: given.KindOf = None,
    model: given.Model = "",
    revision: given.Revision = None,
    trust_remote_code: given.TrustCode = False,
    layer: given.Layer = None,
    head: given.Head = None,
    heads: given.Heads = None,
    rows: given.Rows = None,
    columns: given.Columns = None,
    distance: Annotated[
        Distance, typer.Option("-d", "--distance", help="From 0, the same, to 1, nothing in common.")
    ] = Distance.JENSEN_SHANNON,
    top: given.Top = None,
    digits: given.Digits = 2,
    out: Annotated[list[Path] | None, given.out(_FILES)] = None,
    cmap: given.ColourMap = None,
    dpi: given.Dpi = 150,
    force: given.Force = False,
    as_json: given.Json = False,
    device: given.Device = "auto",
    dtype: given.Format = DType.FLOAT32,
    causal: given.Causal = None,
    seed: given.Seed = None,
    width: given.Width = None,
    quiet: given.Quiet = False,
) -> None:
    """Compare heads: side by side, by distance, by difference.

    The difference of two is the first one's weights less the second one's. Data files hold the
    distances and the difference, a .csv the distances. Distances are those of whole rows, all of them
    unless --rows says which; of more than 1,024 tokens the matrices beside them are pooled.
    """
    world: World = context.obj
    world.is_quiet = quiet
    chosen = selection(layer, head, heads or ())
    if chosen.is_empty:
        raise UsageError("no heads were named to compare", "--heads 0.1,3.4")
    from attn_cli.pipeline import compared as compared_heads
    from attn_cli.pipeline import document
    from attn_cli.show import data, files, picture
    from attn_cli.show.grids import difference_grid, distance_grid, summed_cells, weights_on_one_scale

    targets = files.targets(out or (), (*PICTURES, *COMPARISONS), force=force)
    picture.check_colours(cmap)
    asked = Options(
        text=text,
        file=file,
        pair=pair,
        target=target,
        kind=kind,
        model=model,
        revision=revision,
        trusts_code=trust_remote_code,
        device=device,
        dtype=dtype,
        is_causal=causal,
        seed=seed,
        width=width,
        heads=heads or (),
        chosen=chosen,
    )
    reading = reading_of(world, asked)
    compared_places = places(world, reading, chosen)
    if len(compared_places) < _FEWEST:
        raise UsageError("one head was named, and two make a comparison", "name two or more: --heads 0.1,3.4")
    is_text = not (as_json or targets)
    most = fitting(world, reading, digits) if is_text else shared_out(len(compared_places))
    part = portion(world, reading, rows, columns, (Step.WEIGHTS,), most)
    found, compared = compared_heads(reading, compared_places, distance, part)
    views = weights_on_one_scale(reading.sides, found)
    beside = [distance_grid(distance, compared.items, compared.matrix)]
    if compared.difference is not None:
        beside.append(difference_grid(compared.items, compared.difference, *views))
    answer = document(reading) | compared.fields()
    groups = [[views], *([[measure]] for measure in beside)]
    name = title(reading, "heads compared", views[0])
    write(world, targets, PICTURES, lambda: drawn(world, groups, name, cmap, dpi), force=force)
    write(world, targets, COMPARISONS, lambda: Results(answer), force=force)
    if as_json:
        world.say(data.as_json(answer))
    elif not targets:
        show_reading(world, reading)
        views, beside = ([summed_cells(reading.sides, grid) for grid in grids] for grids in (views, beside))
        _show(world, views, beside, digits=digits, top=top)


def _show(
    world: World, views: "Sequence[Grid]", beside: "Sequence[Grid]", *, digits: int, top: int | None
) -> None:
    """The matrices where there are few, the distances, the difference of two."""
    from attn_cli.show.terminal.matrices import Matrices  # rich: 0.06 s

    if len(views) <= _MOST_SHOWN:
        world.say("")
        world.screen.print(Matrices(*views, digits=digits, top=top))
    else:
        world.note(
            f"of more than {_MOST_SHOWN} heads only the distances are printed; -o FILE.png draws them all"
        )
    for grid in beside:
        world.say("")
        world.screen.print(Matrices(grid, digits=digits, top=top if grid.are_tokens else None))
