"""`attn heads`: every head at a glance, as a layer × head map of a metric and a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options as given
from attn_cli.commands.answering import drawn, show_reading, title, write
from attn_cli.commands.asking import Options, places, reading_of, selection
from attn_cli.commands.reporting import measuring
from attn_cli.console import World
from attn_cli.show.writers import PICTURES, RECORDS, Results
from attn_cli.vocabulary import DType, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attn_cli.analysis.overview import Glance

_FILES = f"Write a picture ({PICTURES}) or data ({RECORDS}); may be repeated."
_TOKENS = 2  # lines of them: a long text is what the command is for


def heads(
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
    metric: Annotated[
        Metric | None,
        typer.Option(
            "--metric", metavar="METRIC", help=f"Of the map: {', '.join(Metric)}.", show_default=False
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only such heads: entropy<1, induction>=0.4, pattern=induction, layer>5. "
            "Of several all must hold.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="METRIC",
            help="Or score: the largest first; -METRIC: the smallest. Else as the map, entropy the smallest.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=0, metavar="N", help="Heads in the table; 0: all.")] = 10,
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
    """Show every head at a glance, on a text of any length.

    A map of one metric, layer by head, then a table of heads with the pattern that each is known by
    and its score. The map shows induction where the text repeats itself, else entropy. Files and
    --json hold every metric of the heads that --where lets through.
    """
    world: World = context.obj
    world.is_quiet = quiet
    from attn_cli.analysis.overview import values_of  # NumPy: 0.1 s
    from attn_cli.analysis.wishes import wish
    from attn_cli.overview import overview, shown_metric
    from attn_cli.pipeline import document
    from attn_cli.show import data, files, picture
    from attn_cli.show.grids import metric_grid

    wished = wish(where or (), sort)
    targets = files.targets(out or (), (*PICTURES, *RECORDS), force=force)
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
        chosen=selection(layer, head, heads or ()),
    )
    reading = reading_of(world, asked)
    chosen = places(world, reading, selection(layer, head, heads or ()))
    on_map = shown_metric(reading, metric, wished)
    with measuring(world) as watch:
        everything = overview(reading, chosen, watch)
    found = wished.met_by(everything)
    records = [glance.fields() for glance in found]
    answer = document(reading) | {"metrics": list(everything[0].metrics), "heads": records}
    grid = metric_grid(on_map, chosen, values_of(found, on_map))
    name = title(reading, "heads at a glance", grid)
    write(world, targets, PICTURES, lambda: drawn(world, [[[grid]]], name, cmap, dpi), force=force)
    write(world, targets, RECORDS, lambda: Results(answer), force=force)
    if as_json:
        world.say(data.as_json(answer))
    elif not targets:
        from attn_cli.show.terminal.cell_map import CellMap  # rich: 0.06 s

        show_reading(world, reading, most=_TOKENS)
        world.say("")
        world.screen.print(CellMap(grid, digits=digits))
        if found and not grid.visible.any():
            world.note(f"no head that is shown has a value of {on_map} on this text")
        _list(world, wished.listed(found, on_map), wished.columns(everything[0], on_map), top, digits)


def _list(
    world: World, found: "Sequence[Glance]", metrics: "Sequence[Metric]", top: int, digits: int
) -> None:
    """The table of the first `top` heads; 0: of all."""
    from attn_cli.show.terminal.lists import TextTable  # paid

    if not found:
        world.note("no head meets every --where")
        return
    shown = found[: top or None]
    names = ["head", "pattern", "score", *(metric.replace("-", "-\n") for metric in metrics)]
    rows = [list(_cells(each, metrics, digits)) for each in shown]
    rest = "a wider window, or --json"
    world.say("")
    world.screen.print(TextTable(names, rows, right=range(2, len(names)), rest=rest))
    if len(shown) < len(found):
        world.note(f"the first {len(shown)} of {len(found)} heads are listed; all: --top 0")


def _cells(head: "Glance", metrics: "Sequence[Metric]", digits: int) -> "Iterator[str]":
    yield head.name
    yield head.pattern or ""
    yield "" if head.score is None else f"{head.score:.{digits}f}"
    for metric in metrics:
        value = head.metrics[metric]
        yield "·" if value is None else f"{value:.{digits}f}"
