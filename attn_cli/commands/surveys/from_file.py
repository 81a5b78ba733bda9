"""`attn heads --from`: lists, filters and sorts the heads in a file that `attn survey` wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.commands import options
from attn_cli.commands.results.head_list import ListOptions
from attn_cli.commands.results.output import write
from attn_cli.commands.surveys import view
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.reading.selection import Place, Selection
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.show.writers import PICTURES, SURVEYS, Results
from attn_cli.survey.files.reading import read_results
from attn_cli.survey.results import SurveyResult
from attn_cli.vocabulary import Metric

if TYPE_CHECKING:
    from attn_cli.analysis.head_filter import HeadFilter
    from attn_cli.analysis.head_summary import HeadSummary
    from attn_cli.commands.pictures.options import PictureOptions
    from attn_cli.show.picture.canvas import Canvas


@record(frozen=True, slots=True)
class ListRequest:
    """Which heads of the file are wanted, and how they are shown."""

    path: Path
    inputs: options.ReadingOptions
    listing: ListOptions
    head_filter: "HeadFilter"
    picture_options: "PictureOptions"
    canvas: "Canvas"
    as_json: bool
    force: bool


def list_results(world: World, request: ListRequest, targets: Mapping[Path, str]) -> None:
    """Print or write the chosen heads of a file of results.

    Raises:
        AttnError: the file cannot be read.
        UsageError: it has no such metric or head, or what is asked for is not in it.
    """
    result = read_results(request.path)
    _check_metrics(request, result)
    chosen = _chosen(request, result)
    only = result.only([(head.layer, head.head) for head in chosen])
    metric = request.listing.metric or next(request.head_filter.metrics, _usual(result))
    if request.as_json or any(suffix in {".json", ".parquet"} for suffix in targets.values()):
        _check_complete(request.path, result)
    answer = Results(only.fields())
    write(world, targets, SURVEYS, lambda: answer, force=request.force)
    write(
        world,
        targets,
        PICTURES,
        lambda: view.picture_of(
            world, only, [metric], request.picture_options, request.canvas, result.places
        ),
        force=request.force,
    )
    if request.as_json:
        from attn_cli.show.data import as_json

        world.say(as_json(answer.document))
    elif not targets:
        _show(world, request, result, only, chosen, metric)


def _show(
    world: World,
    request: ListRequest,
    result: SurveyResult,
    only: SurveyResult,
    chosen: "Sequence[HeadSummary]",
    metric: Metric,
) -> None:
    """Print what the file is of, the map of a metric and its intervals, and the table of heads."""
    listing, head_filter = request.listing, request.head_filter
    view.show_top(world, result, printable(request.path.name))
    view.show_maps(world, only, [metric], listing.digits, listing.theme, result.places)
    ranked = head_filter.rank(chosen, metric)
    metrics = head_filter.columns(next(result.summaries()), metric)
    view.show_heads(world, only, ranked, metrics, listing)
    if result.about:
        view.note_unread(world, result.about)
    view.note_intervals(world, result)


def _chosen(request: ListRequest, result: SurveyResult) -> "list[HeadSummary]":
    """The heads that are selected and meet the conditions."""
    options_of, places = request.inputs.chosen, result.places
    chosen = Selection(options_of.layer, options_of.head, tuple(options_of.heads or ()))
    layers, heads = (1 + max(numbers) for numbers in zip(*places, strict=True))
    selected: Sequence[Place] = places
    if not chosen.is_empty:
        name = printable(request.path.name)
        selected = [place for place in chosen.resolve(name, layers, heads) if place in places]
    return request.head_filter.select(
        [head for head in result.summaries() if (head.layer, head.head) in set(selected)]
    )


def _usual(result: SurveyResult) -> Metric:
    """The metric of the map if none is asked for."""
    usual = (metric for metric in (Metric.ON, Metric.DIRECT, Metric.ENTROPY) if metric in result.metrics)
    return next(usual, result.metrics[0])


def _check_metrics(request: ListRequest, result: SurveyResult) -> None:
    """Raise `UsageError` if the file lacks a metric that is asked for, or is of another kind of attention."""
    for metric in filter(None, (request.listing.metric, *request.head_filter.metrics)):
        if metric not in result.metrics:
            problem = f"{printable(str(request.path))} has no {metric}"
            raise UsageError(problem, f"one of {', '.join(result.metrics)}")
    kind = request.inputs.kind
    if kind is not None and kind is not result.kind:
        problem = f"{printable(str(request.path))} is of {result.kind} attention, not {kind}"
        raise UsageError(problem, f"leave out --kind {kind}")


def _check_complete(path: Path, result: SurveyResult) -> None:
    """Raise `UsageError` if the file does not say which model and documents it is of."""
    if not result.about:
        problem = f"{printable(str(path))} has the rows alone, not the model and documents of a JSON object"
        raise UsageError(problem, "--from a .parquet or .json file, or -o FILE.csv")
