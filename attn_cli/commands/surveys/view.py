"""Shows the results of a survey: maps of means and intervals, the clearest heads of each pattern."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attn_cli.commands.results.output import counted, drawn, size
from attn_cli.console import World
from attn_cli.safe_text import printable
from attn_cli.vocabulary import Metric, Pattern, Theme

if TYPE_CHECKING:
    from attn_cli.analysis.head_summary import HeadSummary
    from attn_cli.commands.pictures.options import PictureOptions
    from attn_cli.commands.results.head_list import ListOptions
    from attn_cli.grid import Grid
    from attn_cli.show.picture.canvas import Canvas
    from attn_cli.show.picture.heading import Heading
    from attn_cli.show.writers import Picture
    from attn_cli.survey.results import PatternRow, Place, SurveyResult

_REASONS = 3  # named in a remark
_SHORT = 160  # characters of a command in a terminal


def show_top(world: World, result: "SurveyResult", name: str) -> None:
    """Print the model and what was read; of a .csv file, which has neither, its `name`."""
    from attn_cli.show.terminal.lists import Paragraph  # rich: 0.06 s

    about = result.about
    if not about:
        world.screen.print(Paragraph([name, counted(len(result.places), "head")], between=" · "))
        return
    model = about["model"]
    shape = size(model["layers"], model["heads"], model["head_size"])
    engine = f"{about['library']}, {about['dtype']}, {about['device']}"
    names = dict.fromkeys((str(model["name"]), str(model["type"])))
    kind = () if result.kind == "self" else (f"{result.kind} attention",)
    world.screen.print(Paragraph([*names, shape, *kind, engine], between=" · "))
    world.screen.print(Paragraph(list(_read(about["corpus"])), between=" · "))


def _read(corpus: dict[str, Any]) -> Iterator[str]:
    files, measured = corpus["files"], corpus["documents"] - corpus["unread"]
    named = "standard input" if files[0] == "-" else printable(files[0])
    yield named if len(files) == 1 else counted(len(files), "file")
    yield counted(measured, "document")
    yield counted(corpus["tokens"], "token")
    if corpus["window"] is not None:
        yield f"windows of {corpus['window']:,}"
    for word in ("rows", "on"):
        if corpus[word] is not None:
            yield f"{word}: {corpus[word]}"


def grids_of(
    result: "SurveyResult", metric: Metric, places: "Sequence[Place] | None" = None
) -> "Iterator[Grid]":
    """The map of the means, and that of half of their intervals, if any is known.

    `places`: all cells of the map, if the result has some of the heads.
    """
    from attn_cli.show.survey.grids import interval_grid, mean_grid

    rows = result.of(metric)
    places = result.places if places is None else places
    yield mean_grid(metric, places, {place: row.mean for place, row in rows.items()})
    halves = {
        place: None if row.high is None or row.mean is None else row.high - row.mean
        for place, row in rows.items()
    }
    if any(half is not None for half in halves.values()):
        yield interval_grid(metric, places, halves)


def show_maps(
    world: World,
    result: "SurveyResult",
    metrics: Sequence[Metric],
    digits: int,
    theme: Theme,
    places: "Sequence[Place] | None" = None,
) -> None:
    """Print the maps of these metrics, each after an empty line."""
    from attn_cli.show.terminal.cell_map import CellMap  # rich: already imported

    for metric in metrics:
        for index, grid in enumerate(grids_of(result, metric, places)):
            world.say("")
            world.screen.print(CellMap(grid, digits=digits + index, theme=world.theme(theme)))


def show_clearest(world: World, result: "SurveyResult", top: int, digits: int) -> None:
    """Print a table of the heads that show each pattern in most documents, and a command for each pattern."""
    from attn_cli.show.terminal.lists import TextTable  # rich: already imported

    rows = [row for pattern in Pattern for row in _clearest(result, pattern, top)]
    if not rows:
        return
    names = ["pattern", "head", "share of\ndocuments", "95 %\ninterval", "weight", "documents"]
    world.say("")
    cells = [_cells(row, digits) for row in rows]
    rest = "widen the window, or use --json"
    world.screen.print(TextTable(names, cells, right=(2, 3, 4, 5), rest=rest, kept=2))


def _clearest(result: "SurveyResult", pattern: Pattern, top: int) -> "list[PatternRow]":
    """The heads that show the pattern in the largest share of documents, of equal ones the stronger first."""
    shown = [row for row in result.patterns if row.pattern is pattern and row.share > 0]
    shown.sort(key=lambda row: (-row.share, -row.weight))
    return shown[: top or None]


def _cells(row: "PatternRow", digits: int) -> list[str]:
    interval = f"{row.low:.{digits}f} to {row.high:.{digits}f}"
    numbers = (f"{row.share:.{digits}f}", interval, f"{row.weight:.{digits}f}", f"{row.documents:,}")
    return [str(row.pattern), f"{row.layer}.{row.head}", *numbers]


def show_heads(
    world: World,
    result: "SurveyResult",
    ranked: "Sequence[HeadSummary]",
    metrics: Sequence[Metric],
    listing: "ListOptions",
) -> None:
    """Print a table of heads: their patterns, the first metric with its spread, and the means of others."""
    from attn_cli.show.terminal.lists import TextTable  # rich: already imported

    if not ranked:
        world.note("no head meets all --where conditions")
        return
    first, *others = metrics
    shown = ranked[: listing.top or None]
    names = [
        "head",
        "pattern",
        "share of\ndocuments",
        first.replace("-", "-\n"),
        "95 %\ninterval",
        "deviation",
    ]
    names += ["documents", *(metric.replace("-", "-\n") for metric in others)]
    rows = [list(_head_cells(result, head, metrics, listing.digits)) for head in shown]
    world.say("")
    right = range(2, len(names))
    rest = "widen the window, or use --json"
    world.screen.print(TextTable(names, rows, right=right, rest=rest, kept=3))
    if len(shown) < len(ranked):
        world.note(f"listed {len(shown):,} of {len(ranked):,} heads; --top 0 lists all")


def _head_cells(
    result: "SurveyResult", head: "HeadSummary", metrics: Sequence[Metric], digits: int
) -> Iterator[str]:
    place = (head.layer, head.head)
    known = None if head.pattern is None else result.shown()[place, head.pattern]
    row = result.of(metrics[0])[place]
    yield head.name
    yield "" if known is None else str(known.pattern)
    yield "" if known is None else f"{known.share:.{digits}f}"
    yield _number(row.mean, digits)
    yield "·" if row.low is None else f"{row.low:.{digits}f} to {row.high:.{digits}f}"
    yield _number(row.deviation, digits)
    yield f"{row.documents:,}"
    yield from (_number(head.metrics[metric], digits) for metric in metrics[1:])


def _number(value: float | None, digits: int) -> str:
    return "·" if value is None else f"{value:.{digits}f}"


def show_examples(world: World, result: "SurveyResult") -> None:
    """Print a command that shows the strongest row of the clearest head of each pattern."""
    lines = list(_commands(result))
    if lines:
        world.say("\nrows that follow a pattern most:")
    for pattern, command in lines:
        world.say(f"  {pattern}: {command}")


def _commands(result: "SurveyResult") -> Iterator[tuple[Pattern, str]]:
    for pattern in Pattern:
        for row in _clearest(result, pattern, 1):
            for example in row.examples[:1]:
                command = example.command
                if command and len(command) <= _SHORT and printable(command) == command:
                    yield pattern, command


def note_unread(world: World, about: Mapping[str, Any]) -> None:
    """Remark on what was not measured, and why."""
    from attn_cli.commands.surveys.running import place_of
    from attn_cli.survey.records import Unread

    corpus = about["corpus"]
    if not corpus["unread"]:
        return
    reasons = sorted(corpus["reasons"].items(), key=lambda item: -item[1])
    listed = ", ".join(f"{count:,} {printable(why)}" for why, count in reasons[:_REASONS])
    rest = f" and {len(reasons) - _REASONS:,} other reasons" if len(reasons) > _REASONS else ""
    first = f"; the first is {place_of(Unread(**about['unread'][0]))}" if about["unread"] else ""
    verb = "was" if corpus["unread"] == 1 else "were"
    of = f"of {counted(corpus['documents'], 'document')}"
    world.note(f"{corpus['unread']:,} {of} {verb} not measured: {listed}{rest}{first}")


def note_intervals(world: World, result: "SurveyResult") -> None:
    """Remark on what the intervals are, and on how many heads have a sink at the first token."""
    from attn_cli.survey.about import INTERVAL

    world.note(f"intervals: {INTERVAL}; a document shows a pattern as attn heads --no-probe lists it")
    share = result.about.get("sink_share")
    if share is not None:
        heads = len(result.places)
        world.note(
            f"a sink at the first token (mean weight above 0.3): {round(share * heads):,} of "
            f"{counted(heads, 'head')}, {share:.3f}"
        )


def picture_of(
    world: World,
    result: "SurveyResult",
    metrics: Sequence[Metric],
    options: "PictureOptions",
    canvas: "Canvas",
    places: "Sequence[Place] | None" = None,
) -> "Picture":
    """The maps of these metrics, means before their intervals."""
    groups = [[[grid]] for metric in metrics for grid in grids_of(result, metric, places)]
    return drawn(world, groups, _heading(result, metrics, options), options, canvas)


def _heading(result: "SurveyResult", metrics: Sequence[Metric], options: "PictureOptions") -> "Heading":
    from attn_cli.show.picture.heading import Heading

    if options.no_title or options.title is not None:
        return Heading(options.title or "")
    about = result.about
    if not about:
        return Heading("", (", ".join(metrics),))
    what = f"{', '.join(metrics)} of each head"
    return Heading("", (what, *_read(about["corpus"]), str(about["model"]["name"])))
