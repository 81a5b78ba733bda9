"""`attn survey`: the metrics of every head over many documents, and how sure they are."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.heads import FocusOptions
from attn_cli.commands.inputs import check_source, open_model, source_request
from attn_cli.commands.pictures.canvas import canvas_of, with_features
from attn_cli.commands.pictures.options import PictureOptions
from attn_cli.commands.results.output import write
from attn_cli.commands.surveys.options import DocumentOptions, RunOptions, SummaryOptions
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.show.writers import PICTURES, SURVEYS, Results
from attn_cli.vocabulary import Metric

if TYPE_CHECKING:
    from attn_cli.models.source import Source
    from attn_cli.survey.inputs.files import InputFiles
    from attn_cli.survey.records import Document, Layout, SurveyRequest, Unread
    from attn_cli.survey.results import SurveyResult
    from attn_cli.survey.running.checkpoint import Checkpoint
    from attn_cli.survey.running.pool import Workers
    from attn_cli.survey.running.run import Surveyed

_FILES = f"Write the results ({SURVEYS}) or a picture ({PICTURES}) instead; may be repeated."
_EACH = (".parquet", ".csv")
_ENABLED_BY = {
    Metric.ON: (f"{Metric.ON} is the weight on chosen keys: no key is chosen", "--on first, or other keys"),
    Metric.DIRECT: (f"{Metric.DIRECT} is what heads do to predictions: it is not asked for", "--effects"),
}
"""What to say, and to type, where a metric is wanted that only an option adds."""

_PATIENCE = 1.0  # seconds without data on standard input before a remark

EXAMPLES = """
Every head of the bundled model over the lines of a text:
    attn survey story.txt
The same in windows of 64 tokens, as a table, with the numbers of every document:
    attn survey book.txt --window 64 -o heads.csv --each documents.csv
The heads of that table with a sink at the first token:
    attn heads --from heads.csv --where "first-token>0.3"
"""


@record(frozen=True, slots=True)
class _Asked:
    """What is to be measured, and how it is kept."""

    documents: DocumentOptions
    source: options.SourceOptions
    compute: options.ComputeOptions
    request: "SurveyRequest"
    summary: SummaryOptions
    run: RunOptions
    each: Path | None
    output: Path | None  # beside it stands what was found so far
    force: bool


def survey_heads(
    world: World,
    *,
    documents: DocumentOptions,
    source: options.SourceOptions,
    kind: options.KindOption = None,
    focus: FocusOptions,
    summary: SummaryOptions,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
    each: Annotated[
        Path | None,
        typer.Option(
            "--each",
            metavar="FILE",
            help="Write the numbers of every document too, a line per document and head: .parquet or .csv.",
            show_default=False,
            rich_help_panel=Topic.OUTPUT,
        ),
    ] = None,
    as_json: options.Json = False,
    force: options.Force = False,
    run: RunOptions,
    picture_options: PictureOptions,
    compute: options.ComputeOptions,
) -> None:
    """Measure every head on many documents, and say how sure the means are.

    For each head and metric, the results have the mean over documents, the standard deviation (n - 1), the
    95 % interval of the mean (Student's t), and the numbers of rows and documents. A document counts once,
    however long it is: its value is the mean of its rows, as in attn heads, or of the rows of all its
    windows. For each pattern they have the share of documents in which the head shows it, of those with
    enough evidence, and the rows that follow it most, each with the command that shows it again.

    With --effects they also have what each head adds to the logit of the token that really follows: its
    direct effect, as in attn effects.

    What cannot be read or measured is counted, named and left out; --strict makes it an error. Memory does
    not grow with the number of documents. The output is written at the end; until then what was measured
    is kept beside it, and --resume goes on after an interruption. attn heads --from lists, filters and
    sorts the heads of the results.
    """
    from attn_cli.commands.surveys.view import picture_of  # NumPy: 0.1 s
    from attn_cli.show import files
    from attn_cli.survey.records import SurveyRequest

    targets = files.targets(out or (), (*SURVEYS, *PICTURES), force=force)
    _check_written(each, targets, force=force)
    canvas = canvas_of(picture_options, targets)
    compute = with_features(compute, picture_options, source.model)
    _check_stride(documents)
    _check_cluster(run)
    request = SurveyRequest(
        source_request(source, compute),
        kind,
        focus.rows,
        focus.on,
        documents.window,
        documents.stride,
        summary.effects,
    )
    output = next(iter(targets), each)
    asked = _Asked(documents, source, compute, request, summary, run, each, output, force)
    with ExitStack() as kept:  # what was found so far goes when everything is written
        result, metrics = _surveyed(world, asked, kept)
        answer = Results(result.fields())
        write(world, targets, SURVEYS, lambda: answer, force=force)
        write(
            world,
            targets,
            PICTURES,
            lambda: picture_of(world, result, metrics, picture_options, canvas),
            force=force,
        )
        _present(world, answer, result, metrics, summary, as_json=as_json, is_written=bool(targets))


def _surveyed(world: World, asked: _Asked, kept: ExitStack) -> "tuple[SurveyResult, list[Metric]]":
    """The results, and the metrics of the maps; the numbers of every document are written.

    Raises:
        AttnError: the model or the files cannot be read, or nothing could be measured.
        UsageError: an option does not apply.
    """
    from attn_cli.commands.surveys.answer import Again, result_of
    from attn_cli.commands.surveys.running import check_resumable, kept_beside
    from attn_cli.mapped_files import check_unchanged, mapped_since
    from attn_cli.survey.about import about
    from attn_cli.survey.measuring import Surveyor
    from attn_cli.survey.running.manifest import manifest_of

    began = time.monotonic()
    files = _files(world, asked.documents)
    if asked.run.resume:
        check_resumable(files.paths)
    source = open_model(world, asked.request.source)
    check_source(world, source)
    layout = Surveyor(asked.request, world.environment, source).layout
    metrics = _metrics(asked, layout)
    chosen = asked.documents
    manifest = manifest_of(
        asked.request, source, files.paths, chosen.field, chosen.per, asked.summary.examples
    )
    beside = kept_beside(
        world,
        asked.output,
        manifest,
        resumes=asked.run.resume,
        force=asked.force,
        keeps_batches=asked.each is not None,
    )
    checkpoint = kept.enter_context(beside)
    workers = _workers(world, asked, source)
    surveyed = _run(world, asked, files, layout, workers, checkpoint)
    check_unchanged(mapped_since(began))  # a worker that was replaced has read what is there now
    _check_measured(surveyed, checkpoint)
    _write_each(world, asked, layout, metrics, checkpoint)
    again = Again(asked.source, asked.compute, asked.request.kind, asked.request.window is not None)
    facts = about(source, layout, asked.request, files.paths, surveyed)
    return result_of(surveyed, metrics, again, facts), _on_maps(asked, metrics)


def _files(world: World, documents: DocumentOptions) -> "InputFiles":
    """The files to read; a remark counts what directories hold besides.

    Raises:
        AttnError: one is missing.
        UsageError: none was given, one is given twice, or is of another kind.
    """
    from attn_cli.arrow import parquet_library
    from attn_cli.survey.inputs.documents import check_field
    from attn_cli.survey.inputs.files import STDIN, find_files, kind_of_file

    names = documents.files or []
    if not names:
        if world.stdin.isatty():
            raise UsageError("no documents were given", "attn survey FILE, or a pipe")
        if not world.has_input(_PATIENCE):
            world.fact("waiting for documents on standard input")
        names = [Path(STDIN)]
    found = find_files(names)
    check_field(found.paths, documents.field)
    if any(kind_of_file(path) == ".parquet" for path in found.paths):
        parquet_library()
    if found.passed_over:
        world.note(f"{found.passed_over:,} other files in these directories were passed over")
    return found


def _run(
    world: World,
    asked: _Asked,
    files: "InputFiles",
    layout: "Layout",
    workers: "Workers",
    checkpoint: "Checkpoint",
) -> "Surveyed":
    """Measure the documents."""
    from attn_cli.commands.surveys.running import Meter, raising, strictly, surveying
    from attn_cli.commands.surveys.standard_input import stream_of
    from attn_cli.survey.inputs.documents import documents
    from attn_cli.survey.running.run import run_survey

    chosen, meter = asked.documents, Meter(files.paths)
    found: Iterator[Document | Unread] = documents(files.paths, stream_of(world), chosen.field, chosen.per)
    entries = meter.counted(strictly(found) if chosen.strict else found)
    with surveying(world, meter) as reported:
        progress = raising(reported) if chosen.strict else reported
        return run_survey(entries, layout, workers, checkpoint, asked.summary.examples, progress)


def _workers(world: World, asked: _Asked, source: "Source") -> "Workers":
    """Who measures: processes of this machine, or workers on a cluster."""
    run, request = asked.run, asked.request
    if run.ray is not None:
        from attn_cli.survey.running.cluster import RayCluster

        return RayCluster(run.ray, run.workers, run.gpus_per_worker or 0.0, request, world.environment)
    from attn_cli.survey.running.pool import Processes
    from attn_cli.survey.running.share import worker_count

    return Processes(run.workers or worker_count(source), request, world.environment)


def _check_cluster(run: RunOptions) -> None:
    """Raise `UsageError` if GPUs are shared out that are not on a cluster."""
    if run.gpus_per_worker is not None and run.ray is None:
        problem = "--gpus-per-worker shares out the GPUs of a cluster: no --ray is given"
        raise UsageError(problem, "--ray auto, or --device cuda with --workers 1")


def _check_measured(surveyed: "Surveyed", checkpoint: "Checkpoint") -> None:
    """Raise `AttnError` if nothing could be measured, with which no survey can go on."""
    from attn_cli.commands.surveys.running import place_of

    if surveyed.unread_count < surveyed.documents:
        return
    checkpoint.remove()
    if not surveyed.unread:
        raise AttnError("no document was found: the files are empty", "files with texts")
    first = surveyed.unread[0]
    hints = {"no field": "--field NAME", "the text is too long": "--window 512, which cuts long documents"}
    fitting = (hint for beginning, hint in hints.items() if first.why.startswith(beginning))
    hint = next(fitting, "texts in UTF-8 that the model can read")
    raise AttnError(f"no document could be measured: {place_of(first)}: {first.why}", hint)


def _metrics(asked: _Asked, layout: "Layout") -> list[Metric]:
    """The metrics of the files.

    Raises:
        UsageError: one of them is not measured.
    """
    chosen = asked.summary.metric or layout.metrics
    for metric in chosen:
        if metric not in layout.metrics:
            problem = f"{metric} is not measured in {layout.kind} attention over documents"
            raise UsageError(*_ENABLED_BY.get(metric, (problem, f"one of {', '.join(layout.metrics)}")))
    return [metric for metric in layout.metrics if metric in chosen]


def _on_maps(asked: _Asked, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics of the maps: those that are asked for, else those that an option adds, or entropy."""
    if asked.summary.metric:
        return list(metrics)
    return [metric for metric in metrics if metric in _ENABLED_BY] or [Metric.ENTROPY]


def _write_each(
    world: World, asked: _Asked, layout: "Layout", metrics: Sequence[Metric], checkpoint: "Checkpoint"
) -> None:
    """Write the numbers of every document, if they are asked for."""
    if asked.each is None:
        return
    from attn_cli.show import files
    from attn_cli.survey.files.each import write_each
    from attn_cli.survey.merging import of_documents

    measured = (one for batch in checkpoint.batches() for one in batch.measured)
    with files.writing(asked.each, force=asked.force) as file:
        write_each(file, asked.each.suffix.lower(), layout, metrics, of_documents(measured))
    world.fact(f"wrote {asked.each}")


def _check_written(each: Path | None, targets: Mapping[Path, str], *, force: bool) -> None:
    """Raise an error if the results, or the numbers of every document, cannot be written."""
    from attn_cli.arrow import parquet_library
    from attn_cli.show import files

    if ".parquet" in targets.values():
        parquet_library()
    if each is None:
        return
    files.check_distinct([*targets, each])
    suffix = files.suffix_of(each, _EACH)
    files.check_writable(each, force=force)
    if suffix == ".parquet":
        parquet_library()


def _check_stride(documents: DocumentOptions) -> None:
    """Raise `UsageError` if windows are moved that there are not, or would leave tokens out."""
    if documents.stride is None:
        return
    if documents.window is None:
        raise UsageError("--stride moves a window: no --window is given", "--window 512")
    if documents.stride > documents.window:
        problem = f"--stride {documents.stride} leaves out tokens between windows of {documents.window}"
        raise UsageError(problem, f"--stride {documents.window}, or less")


def _present(
    world: World,
    answer: Results,
    result: "SurveyResult",
    metrics: Sequence[Metric],
    summary: SummaryOptions,
    *,
    as_json: bool,
    is_written: bool,
) -> None:
    """Print the JSON object, or maps and tables if nothing was written, and the remarks."""
    from attn_cli.commands.surveys import view

    view.note_unread(world, result.about)
    if as_json:
        from attn_cli.show.data import as_json as written

        world.say(written(answer.document))
    elif not is_written:
        view.show_top(world, result, "")
        view.show_maps(world, result, metrics, summary.digits, summary.theme)
        view.show_clearest(world, result, summary.top, summary.digits)
        view.show_examples(world, result)
        view.note_intervals(world, result)
