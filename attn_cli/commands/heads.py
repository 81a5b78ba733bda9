"""`attn heads`: every head at a glance, as a layer × head map of a metric and a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options as given
from attn_cli.commands.answering import drawn, show_reading, title, write
from attn_cli.commands.asking import Options, places, reading_of, selection
from attn_cli.commands.reporting import measuring
from attn_cli.console import World
from attn_cli.vocabulary import DType, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attn_cli.analysis.head_summary import HeadSummary

_FILES = "Write a picture (.png, .svg, .pdf) or data (.json, .npz, .csv); may be repeated."
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
    from attn_cli.analysis.head_filter import parse_head_filter
    from attn_cli.analysis.head_summary import map_metric  # NumPy: 0.1 s
    from attn_cli.reading.metrics import choose_metric, measure_heads
    from attn_cli.reading.reading import document
    from attn_cli.show import data, files, picture, records

    head_filter = parse_head_filter(where or (), sort)
    targets = files.targets(out or (), (*picture.SUFFIXES, *records.SUFFIXES), force=force)
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
    on_map = choose_metric(reading, metric, head_filter)
    with measuring(world) as watch:
        everything = measure_heads(reading, chosen, watch)
    found = head_filter.select(everything)
    fields = [each.fields() for each in found]
    answer = document(reading) | {"metrics": list(everything[0].metrics), "heads": fields}
    grid = map_metric(everything, found, on_map)
    pictures = {path: suffix for path, suffix in targets.items() if suffix in picture.SUFFIXES}
    if pictures:
        encode = drawn(world, [[[grid]]], title(reading, "heads at a glance", grid), cmap, dpi)
        write(world, pictures, encode, force=force)
    tables = {path: suffix for path, suffix in targets.items() if suffix in records.SUFFIXES}
    write(world, tables, lambda suffix: records.encode(suffix, answer, fields), force=force)
    if as_json:
        world.say(data.as_json(answer))
    elif not targets:
        from attn_cli.show import terminal  # rich: 0.06 s

        show_reading(world, reading, most=_TOKENS)
        world.say("")
        terminal.map_of(grid, world.screen, digits=digits)
        if found and not grid.visible.any():
            world.note(f"no head that is shown has a value of {on_map} on this text")
        _list(world, head_filter.rank(found, on_map), head_filter.columns(everything[0], on_map), top, digits)


def _list(
    world: World, found: "Sequence[HeadSummary]", metrics: "Sequence[Metric]", top: int, digits: int
) -> None:
    """The table of the first `top` heads; 0: of all."""
    from attn_cli.show import terminal  # paid

    if not found:
        world.note("no head meets every --where")
        return
    shown = found[: top or None]
    names = ["head", "pattern", "score", *(metric.replace("-", "-\n") for metric in metrics)]
    rows = [list(_cells(each, metrics, digits)) for each in shown]
    rest = "a wider window, or --json"
    world.say("")
    terminal.columns(names, rows, world.screen, right=range(2, len(names)), rest=rest)
    if len(shown) < len(found):
        world.note(f"the first {len(shown)} of {len(found)} heads are listed; all: --top 0")


def _cells(head: "HeadSummary", metrics: "Sequence[Metric]", digits: int) -> "Iterator[str]":
    yield head.name
    yield head.pattern or ""
    yield "" if head.score is None else f"{head.score:.{digits}f}"
    for metric in metrics:
        value = head.metrics[metric]
        yield "·" if value is None else f"{value:.{digits}f}"
