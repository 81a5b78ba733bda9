"""How `attn heads` shows heads: a layer × head map of a metric, and a table of heads and their names."""

from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.results.output import counted
from attn_cli.console import World
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Theme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attn_cli.analysis.head_summary import HeadSummary
    from attn_cli.grid import Grid
    from attn_cli.reading.known_patterns import KnownPatterns
    from attn_cli.reading.metrics import TooFewRows
    from attn_cli.reading.probe_store import StoredProbe
    from attn_cli.reading.selection import Place


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


def map_of(places: "Sequence[Place]", chosen: "Sequence[HeadSummary]", metric: Metric) -> "Grid":
    """The metric of the chosen heads, as a layer × head grid."""
    from attn_cli.analysis.head_summary import values_of
    from attn_cli.show.grids import metric_grid

    return metric_grid(metric, places, values_of(chosen, metric))


def show_map(world: World, grid: "Grid", listing: ListOptions) -> None:
    """Print the map, after an empty line."""
    from attn_cli.show.terminal.cell_map import CellMap  # rich: 0.06 s

    world.say("")
    world.screen.print(CellMap(grid, digits=listing.digits, theme=world.theme(listing.theme)))


def show_table(
    world: World,
    summaries: "Sequence[HeadSummary]",
    metrics: "Sequence[Metric]",
    listing: ListOptions,
    *,
    are_named: bool = True,
) -> None:
    """Print a table of the first `top` heads; 0: of all heads. `are_named`: whether patterns are known."""
    from attn_cli.show.terminal.lists import TextTable  # rich: already imported

    if not summaries:
        world.note("no head meets all --where conditions")
        return
    shown = summaries[: listing.top or None]
    words = ["head", "pattern", "score", "rows"] if are_named else ["head"]
    others = [_others(summary, listing.digits) for summary in shown]
    if any(others):
        words.append("also")
    names = [*words, *(metric.replace("-", "-\n") for metric in metrics)]
    rows = [
        [*[*_words(summary, listing.digits), other][: len(words)], *_cells(summary, metrics, listing.digits)]
        for summary, other in zip(shown, others, strict=True)
    ]
    numbers = [place for place, name in enumerate(names) if name not in {"head", "pattern", "also"}]
    world.say("")
    sorted_by = len(words) if metrics else None  # the first metric
    rest = "widen the window, or use --json"
    world.screen.print(TextTable(names, rows, right=numbers, rest=rest, kept=sorted_by))
    if len(shown) < len(summaries):
        world.note(f"listed {len(shown):,} of {len(summaries):,} heads; --top 0 lists all")


def origin_of(known: "KnownPatterns | None", too_few: "Sequence[TooFewRows]") -> str:
    """What the names of heads were measured on, and the names that the text cannot give, as a sentence."""
    if known is None:
        return f"names come from this text{_lacking(too_few)}"
    probe, where = known.probe, "the model's card"
    if probe is not None:
        where = f"the probe of {probe.date}, {counted(probe.rows, 'row')} of random repeated tokens"
    return f"names come from {where}; from this text: --no-probe"


def without_names() -> str:
    """Why heads have no names, as a sentence."""
    return (
        "heads have no names: these rows alone give none; attn heads --probe names the heads for any text, "
        "--no-probe by all rows of this one"
    )


def random_rows(probe: "StoredProbe") -> str:
    """The random tokens of the probe, and the rows that counted, in words."""
    lengths = f"{min(probe.lengths)} to {max(probe.lengths)} random tokens"
    seeds = f"seeds {probe.seeds[0]} to {probe.seeds[-1]}"
    return f"{len(probe.seeds)} sequences of {lengths}, each twice, {seeds}: {probe.rows} rows"


def _lacking(too_few: "Sequence[TooFewRows]") -> str:
    """The end of the remark: the patterns that have too few rows."""
    if not too_few:
        return ""
    each = ", ".join(f"{one.pattern} ({_count(one)})" for one in too_few)
    return f"; too few of its rows are evidence for {each}; attn heads --probe measures all heads"


def _count(one: "TooFewRows") -> str:
    """The rows of evidence and the rows that a name needs, or the tokens if all rows have the same few."""
    if one.rows < one.needed:
        return f"{one.rows} of {one.needed}"
    return f"{one.rows}, but of {counted(one.different, 'token')}"


def _words(summary: "HeadSummary", digits: int) -> "Iterator[str]":
    """The head, its name, and the share and the rows that gave it the name."""
    known = summary.known_for
    yield summary.name
    yield "" if known is None else known.pattern
    yield "" if known is None else f"{known.share:.{digits}f}"
    yield "" if known is None or known.rows is None else f"{known.rows:,}"


def _others(summary: "HeadSummary", digits: int) -> str:
    """The patterns of the head besides its name."""
    known = summary.known_for
    others = (share for share in summary.patterns if share != known)
    return ", ".join(f"{share.pattern} {share.share:.{digits}f}" for share in others)


def _cells(summary: "HeadSummary", metrics: "Sequence[Metric]", digits: int) -> "Iterator[str]":
    for metric in metrics:
        value = summary.metrics[metric]
        yield "·" if value is None else f"{value:.{digits}f}"
