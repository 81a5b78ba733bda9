"""`attn heads`: all heads at a glance, as a table and a layer × head map of a metric."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.inputs import open_reading, selected_places, selection
from attn_cli.commands.output import drawn, show_reading, title, write
from attn_cli.commands.progress import measuring
from attn_cli.console import World
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.show.writers import PICTURES, RECORDS, Results
from attn_cli.vocabulary import Metric, Theme

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from attn_cli.analysis.head_summary import HeadSummary
    from attn_cli.grid import Grid
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Place

_FILES = f"Write a picture ({PICTURES}) or data ({RECORDS}) instead; may be repeated."
_TOKENS = 2  # lines of tokens: the command is meant for long texts


@record(frozen=True, kw_only=True)
class ListOptions:
    """Which metric the map shows, and which heads the table lists, in what order."""

    topic = Topic.SHOW
    metric: Annotated[
        Metric | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="Metric of the map, as listed below.",
            show_default=False,
        ),
    ] = None
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only heads that meet this condition: `entropy<1`, `induction>=0.4`, `pattern=induction`, "
            "`layer>5`. May be repeated; all conditions must hold.",
            show_default=False,
        ),
    ] = None
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="METRIC",
            help="Sort the table by this metric or by score, largest first; -METRIC: smallest first. By "
            "default, by the metric of the map (entropy: smallest first, but heads that rest on a learned "
            "sink last).",
            show_default=False,
        ),
    ] = None
    top: Annotated[
        int, typer.Option("--top", min=0, metavar="N", help="Number of heads in the table; 0: all.")
    ] = 10
    digits: options.Digits = 2
    theme: options.ThemeOption = Theme.AUTO


EXAMPLES = """
All heads on a text that repeats itself:
    attn heads "the cat sat and the cat sat"
Only the induction heads:
    attn heads "the cat sat and the cat sat" --where "pattern=induction"
The heads that look farthest back in a long text:
    attn heads --file story.txt --sort distance --top 5
"""


def list_heads(
    world: World,
    *,
    inputs: options.ReadingOptions,
    listing: ListOptions,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
    as_json: options.Json = False,
    force: options.Force = False,
    picture_options: options.PictureOptions,
    compute: options.ComputeOptions,
) -> None:
    """Show all heads at a glance, and find heads by what they do.

    A map shows one metric for every layer and head. A table below it lists the heads with the largest
    values, each with its pattern and how strongly it follows that pattern (the score). Without --metric,
    the map shows induction if the text repeats itself, else entropy. Texts may be of any length. Files and
    --json have all metrics of the heads that --where selects.
    """
    from attn_cli.analysis.head_filter import parse_head_filter  # NumPy: 0.1 s
    from attn_cli.reading.metrics import choose_metric, measure_heads
    from attn_cli.show import files, picture

    head_filter = parse_head_filter(listing.where or (), listing.sort)
    targets = files.targets(out or (), (*PICTURES, *RECORDS), force=force)
    picture.check_colours(picture_options.cmap)
    reading = open_reading(world, inputs, compute)
    places = selected_places(world, reading, selection(inputs))
    on_map = choose_metric(reading, listing.metric, head_filter)
    with measuring(world) as progress:
        summaries = measure_heads(reading, places, progress)
    chosen = head_filter.select(summaries)
    grid = _map(places, chosen, on_map)
    if as_json or targets:
        from attn_cli.show import data

        answer = _answer(reading, summaries[0].metrics, chosen)
        name = title(reading, "heads at a glance", grid)
        write(world, targets, PICTURES, lambda: drawn(world, [[[grid]]], name, picture_options), force=force)
        write(world, targets, RECORDS, lambda: Results(answer), force=force)
        if as_json:
            world.say(data.as_json(answer))
        return
    _show_map(world, reading, grid, listing)
    if chosen and not grid.visible.any():
        world.note(f"{on_map} has no value for any of these heads on this text")
    columns = head_filter.columns(summaries[0], on_map)
    _list(world, head_filter.rank(chosen, on_map), columns, listing)


def _map(places: "Sequence[Place]", chosen: "Sequence[HeadSummary]", metric: Metric) -> "Grid":
    """The metric of the chosen heads, as a layer × head grid."""
    from attn_cli.analysis.head_summary import values_of
    from attn_cli.show.grids import metric_grid

    return metric_grid(metric, places, values_of(chosen, metric))


def _answer(
    reading: "Reading", metrics: "Iterable[Metric]", chosen: "Sequence[HeadSummary]"
) -> dict[str, object]:
    """The JSON object: a record for each chosen head."""
    from attn_cli.reading.document import describe_reading

    records = [summary.fields() for summary in chosen]
    return describe_reading(reading) | {"metrics": list(metrics), "heads": records}


def _show_map(world: World, reading: "Reading", grid: "Grid", listing: ListOptions) -> None:
    """The first tokens, then the map."""
    from attn_cli.show.terminal.cell_map import CellMap  # rich: 0.06 s

    show_reading(world, reading, most=_TOKENS)
    world.say("")
    world.screen.print(CellMap(grid, digits=listing.digits, theme=world.theme(listing.theme)))


def _list(
    world: World, summaries: "Sequence[HeadSummary]", metrics: "Sequence[Metric]", listing: ListOptions
) -> None:
    """The table of the first `top` heads; 0: of all heads."""
    from attn_cli.show.terminal.lists import TextTable  # rich: already imported

    if not summaries:
        world.note("no head meets all --where conditions")
        return
    shown = summaries[: listing.top or None]
    names = ["head", "pattern", "score", *(metric.replace("-", "-\n") for metric in metrics)]
    rows = [list(_cells(summary, metrics, listing.digits)) for summary in shown]
    rest = "widen the window, or use --json"
    world.say("")
    world.screen.print(TextTable(names, rows, right=range(2, len(names)), rest=rest))
    if len(shown) < len(summaries):
        world.note(f"listed {len(shown)} of {len(summaries)} heads; --top 0 lists all")


def _cells(summary: "HeadSummary", metrics: "Sequence[Metric]", digits: int) -> "Iterator[str]":
    yield summary.name
    yield summary.pattern or ""
    yield "" if summary.score is None else f"{summary.score:.{digits}f}"
    for metric in metrics:
        value = summary.metrics[metric]
        yield "·" if value is None else f"{value:.{digits}f}"
