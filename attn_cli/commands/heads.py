"""`attn heads`: all heads at a glance, as a table and a layer × head map of a metric."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.inputs import (
    check_source,
    hidden_keys,
    note_selections,
    open_model,
    open_reading,
    selected_places,
    selection,
    source_request,
)
from attn_cli.commands.picture_options import PictureOptions
from attn_cli.commands.results.canvas import canvas_of, with_features
from attn_cli.commands.results.head_list import (
    ListOptions,
    map_of,
    origin_of,
    random_rows,
    show_map,
    show_table,
)
from attn_cli.commands.results.heading import heading_of
from attn_cli.commands.results.hidden import hidden_keys_of, metrics_shown
from attn_cli.commands.results.output import (
    drawn,
    headline_of,
    show_hidden,
    show_reading,
    write,
)
from attn_cli.commands.results.progress import measuring
from attn_cli.commands.results.words import as_words, words_of
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.show.writers import PICTURES, RECORDS, Results
from attn_cli.vocabulary import RANDOM, Metric

if TYPE_CHECKING:
    from attn_cli.analysis.head_filter import HeadFilter
    from attn_cli.analysis.head_summary import HeadSummary
    from attn_cli.reading.hidden_keys import HiddenKeys
    from attn_cli.reading.known_patterns import KnownPatterns
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Place
    from attn_cli.show.picture.heading import Heading

_FILES = f"Write a picture ({PICTURES}) or data ({RECORDS}) instead; may be repeated."
_TOKENS = 2  # lines of tokens: the command is meant for long texts


@record(frozen=True, kw_only=True)
class NameOptions:
    """What the names of heads are measured on, and what the words mean."""

    topic = Topic.SHOW
    probe: Annotated[
        bool | None,
        typer.Option(
            "--probe/--no-probe",
            help="Measure the patterns on random repeated tokens (others with --seed), not on a text, "
            "and keep the names for later texts; or name heads by the text alone. By default, names come "
            "from the last probe of the model or from its card, if there is one, or else from the text.",
            show_default=False,
        ),
    ] = None
    definitions: Annotated[
        bool,
        typer.Option(
            "--definitions",
            help="Print the definition of every metric, pattern and distance: formula, rows, source.",
        ),
    ] = False


EXAMPLES = """
All heads on a text that repeats itself:
    attn heads "the cat sat and the cat sat"
The patterns of all heads on random tokens, for any model:
    attn heads --probe
The heads that look farthest back in a long text:
    attn heads --file story.txt --sort distance --top 5
"""


@record(frozen=True, slots=True)
class Request:
    """What is to be measured."""

    inputs: options.ReadingOptions
    compute: options.ComputeOptions
    metric: Metric | None  # of the map; None: not chosen
    head_filter: "HeadFilter"
    words: bool
    hiding: options.HidingOptions
    naming: NameOptions


@record(frozen=True, slots=True)
class Measured:
    """The heads that were measured, and what gave them their names."""

    reading: "Reading"
    places: "Sequence[Place]"
    heads: "Sequence[HeadSummary]"
    known: "KnownPatterns | None"  # None: the text
    remarks: "Sequence[str]"  # on the names and on hidden keys
    hidden: "HiddenKeys | None" = None  # None: no key is hidden


def list_heads(
    world: World,
    *,
    inputs: options.ReadingOptions,
    listing: ListOptions,
    words: options.Words = False,
    hiding: options.HidingOptions,
    naming: NameOptions,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
    as_json: options.Json = False,
    force: options.Force = False,
    picture_options: PictureOptions,
    compute: options.ComputeOptions,
) -> None:
    """Show all heads at a glance, and find heads by what they do.

    A map shows one metric for every layer and head. A table below it lists the heads with the largest
    values, each with its pattern, how strongly it follows that pattern (the score) and on how many rows.
    Without --metric, the map shows induction if the text repeats itself, else entropy. Texts may be of any
    length. Files and --json have all metrics of the heads that --where selects.

    With --words, metrics are those of words; patterns are those of tokens. With --hide, metrics are those of
    the rows without the hidden keys, which count as one more key; with --renormalize only the others count.
    Patterns are those of whole rows.
    """
    if naming.definitions:
        from attn_cli.help.definitions import definitions

        world.say(definitions(world.width))
        return
    from attn_cli.analysis.head_filter import parse_head_filter  # NumPy: 0.1 s
    from attn_cli.show import files

    head_filter = parse_head_filter(listing.where or (), listing.sort)
    targets = files.targets(out or (), (*PICTURES, *RECORDS), force=force)
    canvas = canvas_of(picture_options, targets)
    compute = with_features(compute, picture_options, inputs.source.model)
    measure = _probed if naming.probe else _read
    request = Request(inputs, compute, listing.metric, head_filter, words, hiding, naming)
    measured, on_map = measure(world, request)
    chosen = head_filter.select(measured.heads)
    grid = map_of(measured.places, chosen, on_map)
    if as_json or targets:
        from attn_cli.show import data

        answer = _answer(measured, chosen)
        name = _heading(world, measured, picture_options, on_map)
        write(
            world,
            targets,
            PICTURES,
            lambda: drawn(world, [[[grid]]], name, picture_options, canvas),
            force=force,
        )
        write(world, targets, RECORDS, lambda: Results(answer), force=force)
        if as_json:
            world.say(data.as_json(answer))
        return
    _show_top(world, measured)
    show_map(world, grid, listing)
    if chosen and not grid.visible.any():
        where = "random tokens" if naming.probe else "this text"
        world.note(f"{on_map} has no value for any of these heads on {where}")
    columns = head_filter.columns(measured.heads[0], on_map)
    show_table(world, head_filter.rank(chosen, on_map), columns, listing)
    for remark in measured.remarks:
        world.note(remark)


def _read(
    world: World,
    request: Request,
) -> "tuple[Measured, Metric]":
    """The heads on a text, and the metric of the map.

    Raises:
        AttnError: the text or the model cannot be read.
        UsageError: a metric does not apply to this kind of attention.
    """
    from attn_cli.reading.known_patterns import find_known_patterns
    from attn_cli.reading.metrics import choose_metric, find_too_few_rows, measure_heads

    reading = open_reading(world, request.inputs, request.compute)
    reading = as_words(world, reading, are_words=request.words)
    places = selected_places(world, reading, selection(request.inputs))
    hidden = hidden_keys(reading, request.hiding)
    note_selections(world, reading, hide=request.hiding.hide)
    on_map = choose_metric(reading, request.metric, request.head_filter, hides=hidden is not None)
    is_known = request.naming.probe is None
    known = find_known_patterns(reading.source, reading.kind, world.environment) if is_known else None
    with measuring(world) as progress:
        heads = measure_heads(reading, places, progress, hidden, names=known is None)
    named = heads if known is None else known.name(heads)
    remark = origin_of(known, find_too_few_rows(reading) if known is None else ())
    remarks = [remark, *metrics_shown(hidden, are_words=request.words)]
    return Measured(reading, places, named, known, remarks, hidden), on_map


def _probed(
    world: World,
    request: Request,
) -> "tuple[Measured, Metric]":
    """The heads on random repeated tokens, and the metric of the map; their names are kept for later texts.

    Raises:
        AttnError: the model cannot be read, or not be probed.
        UsageError: a text or hidden keys were given, or the kind of attention has no copies of tokens.
    """
    inputs, compute = request.inputs, request.compute
    _check_no_text(inputs.text)
    _check_hides_nothing(request)
    from attn_cli.reading.known_patterns import KnownPatterns, Origin
    from attn_cli.reading.probe import plan_probe, reading_of, run_probe, stored
    from attn_cli.reading.probe_store import write_probe

    of_layer = compute if inputs.source.model == RANDOM else replace(compute, seed=None)
    source = open_model(world, source_request(inputs.source, of_layer))
    check_source(world, source)
    plan = plan_probe(source, inputs.kind, compute.seed or 0)
    reading = reading_of(source, plan)
    places = selected_places(world, reading, selection(inputs))
    with measuring(world) as progress:
        heads = run_probe(reading.source, plan, progress)
    probe = stored(plan, heads)
    is_kept = write_probe(probe, source, plan.kind, world.environment) is not None
    later = ["attn heads and attn inspect take the names of heads from this probe from now on"]
    by_place = {(head.layer, head.head): head for head in heads}
    known = KnownPatterns(Origin.PROBE, probe.shares, probe)
    on_map = request.metric or next(request.head_filter.metrics, Metric.INDUCTION)
    shown = [by_place[place] for place in places]
    return Measured(reading, places, shown, known, later if is_kept else []), on_map


def _check_no_text(text: options.TextOptions) -> None:
    """Raise `UsageError` if a text was given with --probe."""
    given = {"TEXT": text.text, "--file": text.file, "--pair": text.pair, "--target": text.target}
    for option, value in given.items():
        if value is not None:
            problem = f"--probe measures heads on random tokens: {option} was given too"
            raise UsageError(problem, f"leave out --probe or {option}")


def _check_hides_nothing(request: Request) -> None:
    """Raise `UsageError` if words are asked for or keys hidden with --probe, whose tokens are random."""
    hiding = request.hiding
    given = {"--hide": hiding.hide, "--renormalize": hiding.renormalize, "--words": request.words}
    for option in (option for option, value in given.items() if value):
        problem = f"--probe measures patterns on random tokens, of all keys: {option} was given too"
        raise UsageError(problem, f"leave out --probe or {option}")


def _show_top(world: World, measured: Measured) -> None:
    """Print the model, then the first tokens, or what a probe read."""
    from attn_cli.show.terminal.lists import Paragraph  # rich: 0.06 s

    reading, known = measured.reading, measured.known
    if reading.request.text or known is None or known.probe is None:
        show_reading(world, reading, most=_TOKENS)
        show_hidden(world, reading, () if measured.hidden is None else measured.hidden.keys)
        return
    kinds = () if len(reading.source.kinds) == 1 else (f"{reading.kind} attention",)
    world.screen.print(Paragraph(headline_of(reading.source, *kinds), between=" · "))
    world.screen.print(Paragraph([f"probe: {random_rows(known.probe)}"]))


def _answer(measured: Measured, chosen: "Sequence[HeadSummary]") -> dict[str, object]:
    """The JSON object: a record for each chosen head."""
    from attn_cli.reading.document import describe_reading
    from attn_cli.reading.known_patterns import describe_origin

    records = [summary.fields() for summary in chosen]
    names = describe_origin(measured.known)
    metrics = list(measured.heads[0].metrics)
    answer = describe_reading(measured.reading) | {"metrics": metrics, "names": names}
    if measured.hidden is not None:
        renormalized = {"renormalized": True} if measured.hidden.is_renormalized else {}
        answer["hidden"] = {"keys": list(measured.hidden.keys)} | renormalized
    return answer | {"heads": records}


def _heading(world: World, measured: Measured, picture_options: PictureOptions, on_map: Metric) -> "Heading":
    """The metric of the map, and what it was measured on."""
    hidden = () if measured.hidden is None else measured.hidden.keys
    probe = None if measured.known is None or measured.reading.request.text else measured.known.probe
    random = "" if probe is None else random_rows(probe)
    what = f"{on_map} of {'the head' if len(measured.places) == 1 else 'each head'}"
    phrases = (what, words_of(measured.reading), random, hidden_keys_of(measured.reading, hidden))
    return heading_of(world, measured.reading, picture_options, measured.places, *phrases)
