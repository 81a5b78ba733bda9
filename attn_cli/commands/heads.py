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
from attn_cli.commands.pictures.canvas import canvas_of, with_features
from attn_cli.commands.pictures.heading import heading_of
from attn_cli.commands.pictures.options import PictureOptions
from attn_cli.commands.results.head_list import (
    ListOptions,
    map_of,
    origin_of,
    random_rows,
    show_map,
    show_table,
    without_names,
)
from attn_cli.commands.results.hidden import hidden_keys_of, metrics_shown, tokens_in_title
from attn_cli.commands.results.output import (
    counted,
    drawn,
    headline_of,
    show_hidden,
    show_reading,
    show_tokens,
    write,
)
from attn_cli.commands.results.progress import measuring
from attn_cli.commands.results.words import words_of
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.show.writers import PICTURES, RECORDS, SURVEYS, Results
from attn_cli.vocabulary import RANDOM, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attn_cli.analysis.head_filter import HeadFilter
    from attn_cli.analysis.head_summary import HeadSummary
    from attn_cli.models.tokens.token import Token
    from attn_cli.reading.hidden_keys import HiddenKeys
    from attn_cli.reading.known_patterns import KnownPatterns
    from attn_cli.reading.measurement.focus import Focus
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


@record(frozen=True, kw_only=True)
class ResultOptions:
    """Heads that were measured before."""

    topic = Topic.READ
    results: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="List the heads in a file that attn survey wrote (.parquet, .csv, .json), instead of those "
            "of a text.",
            show_default=False,
        ),
    ] = None


@record(frozen=True, kw_only=True)
class FocusOptions:
    """Which queries are measured, and which keys the metric `on` is about."""

    topic = Topic.SHOW
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="TOKENS",
            help="Measure only these queries: positions (3, -1, 0,2,5, 4-7, 4- or all), special, first, or "
            "words of the text: it, it@2 (only its second place), =7 (the text 7).",
            show_default=False,
        ),
    ] = None
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="TOKENS",
            help="Measure the weight on these keys too, selected as in --rows, and show it in the map: the "
            "metric on.",
            show_default=False,
        ),
    ] = None


EXAMPLES = """
All heads on a text that repeats itself:
    attn heads "the cat sat and the cat sat"
The heads in which the last token looks at the first nine, such as a system prompt:
    attn heads --file story.txt --rows -1 --on 0-8
The patterns of all heads on random tokens, for any model:
    attn heads --probe
"""


@record(frozen=True, slots=True)
class Request:
    """What is to be measured."""

    inputs: options.ReadingOptions
    compute: options.ComputeOptions
    metric: Metric | None  # of the map; None: not chosen
    head_filter: "HeadFilter"
    focus: FocusOptions
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
    focus: "Focus | None" = None  # None: no queries or keys were chosen
    are_named: bool = True  # whether patterns are known


def list_heads(
    world: World,
    *,
    inputs: options.ReadingOptions,
    survey: ResultOptions,
    listing: ListOptions,
    focus: FocusOptions,
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

    With --rows, metrics are means over these queries alone, and heads have the names that a probe or the
    model's card gave them. With --on, the map shows the weight on these keys: in which heads a token looks
    at a word, or which heads read the system prompt.

    With --words, metrics are those of words; patterns are those of tokens. With --hide, metrics are those of
    the rows without the hidden keys, which count as one more key; with --renormalize only the others count.
    Patterns are those of whole rows.

    With --from, the heads are those of a file that attn survey wrote: means over many documents with their
    intervals.
    """
    if naming.definitions:
        from attn_cli.help.definitions import definitions

        world.say(definitions(world.width))
        return
    from attn_cli.analysis.head_filter import parse_head_filter  # NumPy: 0.1 s
    from attn_cli.show import files

    head_filter = parse_head_filter(listing.where or (), listing.sort)
    kinds = RECORDS if survey.results is None else SURVEYS
    targets = files.targets(out or (), (*PICTURES, *kinds), force=force)
    canvas = canvas_of(picture_options, targets)
    compute = with_features(compute, picture_options, inputs.source.model)
    measure = _probed if naming.probe else _read
    request = Request(inputs, compute, listing.metric, head_filter, focus, words, hiding, naming)
    if survey.results is not None:
        _check_from(world, request)
        from attn_cli.commands.surveys.from_file import ListRequest, list_results

        asked = ListRequest(
            survey.results, inputs, listing, head_filter, picture_options, canvas, as_json, force
        )
        list_results(world, asked, targets)
        return
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
        where = "random tokens" if naming.probe else "this text" if focus.rows is None else "these rows"
        world.note(f"{on_map} has no value for any of these heads on {where}")
    columns = head_filter.columns(measured.heads[0], on_map)
    ranked = head_filter.rank(chosen, on_map)
    show_table(world, ranked, columns, listing, are_named=measured.are_named)
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
    from attn_cli.reading.measurement.focus import check_looks, choose_focus
    from attn_cli.reading.metrics import choose_metric, find_too_few_rows, measure_heads

    reading = open_reading(world, request.inputs, request.compute, are_words=request.words)
    places = selected_places(world, reading, selection(request.inputs))
    hidden = hidden_keys(reading, request.hiding)
    focus = choose_focus(reading, request.focus.rows, request.focus.on, hidden)
    of_focus = request.focus
    note_selections(world, reading, rows=of_focus.rows, on=of_focus.on, hide=request.hiding.hide)
    on_map = choose_metric(reading, request.metric, request.head_filter, focus, hides=hidden is not None)
    is_known = request.naming.probe is None
    known = find_known_patterns(reading.source, reading.kind, world.environment) if is_known else None
    names = known is None and _reads_names(request)
    with measuring(world) as progress:
        is_writing = any(metric.is_written for metric in (on_map, *request.head_filter.metrics))
        heads = measure_heads(
            reading, places, progress, hidden, names=names, focus=focus, is_writing=is_writing
        )
    check_looks(heads, focus)
    named = heads if known is None else known.name(heads)
    are_named = names or known is not None
    remark = origin_of(known, find_too_few_rows(reading) if names else ()) if are_named else without_names()
    on_metrics = _remarks_on_metrics(focus, hidden, are_words=request.words, are_named=are_named)
    return Measured(reading, places, named, known, [remark, *on_metrics], hidden, focus, are_named), on_map


def _reads_names(request: Request) -> bool:
    """Whether the whole text is measured for the names of heads: not for chosen rows, unless it is needed."""
    is_whole = request.focus.rows is None
    return is_whole or request.naming.probe is False or request.head_filter.needs_names


def _remarks_on_metrics(
    focus: "Focus", hidden: "HiddenKeys | None", *, are_words: bool, are_named: bool
) -> "Iterator[str]":
    """What the metrics are taken of, if it is not the whole text."""
    yield from metrics_shown(hidden, are_words=are_words)
    if focus.rows is not None and are_named:
        which = "this row" if len(focus.rows) == 1 else f"these {len(focus.rows):,} rows"
        yield f"metrics are those of {which} alone"


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
    _check_metrics(request)
    _check_has_no_tokens(request)
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


def _check_metrics(request: Request) -> None:
    """Raise `UsageError` if what heads write is asked for with --probe, which looks for patterns."""
    for metric in filter(None, (request.metric, *request.head_filter.metrics)):
        if metric.is_written or metric.is_effect:
            problem = f"--probe measures the patterns of heads, not what they write: {metric} was asked for"
            raise UsageError(problem, "leave out --probe, or another metric")


def _check_from(world: World, request: Request) -> None:
    """Raise `UsageError` if a text, a model or tokens are given with --from, which measures nothing."""
    inputs, text, source = request.inputs, request.inputs.text, request.inputs.source
    is_typed = source.model != world.environment.get("ATTN_MODEL", "")
    given: dict[str, object] = {"TEXT": text.text, "--file": text.file, "--pair": text.pair}
    given |= {"--target": text.target, "--chat": text.chat or None, "--system": text.system}
    given |= {"--generate": inputs.generation.generate, "--tokenizer": source.tokenizer}
    given |= {"--model": source.model or None if is_typed else None, "--revision": source.revision}
    given |= {"--no-special": source.no_special or None, "--probe": request.naming.probe}
    given |= _of_tokens(request)
    for option, value in given.items():
        if value is not None:
            problem = f"--from lists heads that were measured before: {option} was given too"
            raise UsageError(problem, f"leave out --from or {option}")


def _of_tokens(request: Request) -> dict[str, object]:
    """The options that choose or hide tokens, or ask for words."""
    focus, hiding = request.focus, request.hiding
    return {
        "--rows": focus.rows,
        "--on": focus.on,
        "--hide": hiding.hide,
        "--renormalize": hiding.renormalize or None,
        "--words": request.words or None,
    }


def _check_no_text(text: options.TextOptions) -> None:
    """Raise `UsageError` if a text was given with --probe."""
    given: dict[str, object] = {"TEXT": text.text, "--file": text.file, "--pair": text.pair}
    given |= {"--target": text.target, "--chat": text.chat or None, "--system": text.system}
    for option, value in given.items():
        if value is not None:
            problem = f"--probe measures heads on random tokens: {option} was given too"
            raise UsageError(problem, f"leave out --probe or {option}")


def _check_has_no_tokens(request: Request) -> None:
    """Raise `UsageError` if tokens are chosen or hidden, or words asked for, with --probe: it has no text."""
    given = _of_tokens(request)
    for option, value in given.items():
        if value is not None:
            problem = f"--probe measures patterns on random tokens, of all keys: {option} was given too"
            raise UsageError(problem, f"leave out --probe or {option}")


def _show_top(world: World, measured: Measured) -> None:
    """Print the model, then the first tokens, or what a probe read."""
    from attn_cli.show.terminal.lists import Paragraph  # rich: 0.06 s

    reading, known = measured.reading, measured.known
    if reading.request.text or known is None or known.probe is None:
        show_reading(world, reading, most=_TOKENS)
        for word, tokens in _chosen(measured).items():
            show_tokens(world, word, tokens)
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
    names = describe_origin(measured.known, are_named=measured.are_named)
    metrics = list(measured.heads[0].metrics)
    answer = describe_reading(measured.reading) | {"metrics": metrics, "names": names}
    if measured.focus is not None:
        chosen_places = {"rows": measured.focus.rows, "on": measured.focus.on}
        answer |= {word: list(places) for word, places in chosen_places.items() if places is not None}
    if measured.hidden is not None:
        renormalized = {"renormalized": True} if measured.hidden.is_renormalized else {}
        answer["hidden"] = {"keys": list(measured.hidden.keys)} | renormalized
    return answer | {"heads": records}


def _heading(world: World, measured: Measured, picture_options: PictureOptions, on_map: Metric) -> "Heading":
    """The metric of the map, and what it was measured on."""
    hidden = () if measured.hidden is None else measured.hidden.keys
    probe = None if measured.known is None or measured.reading.request.text else measured.known.probe
    random = "" if probe is None else random_rows(probe)
    subject = "weight on chosen keys" if on_map is Metric.ON else on_map
    what = f"{subject} of {'the head' if len(measured.places) == 1 else 'each head'}"
    chosen = _chosen(measured)
    many = {
        "rows": counted(len(chosen.get("rows", ())), "row"),
        "on": f"on {len(chosen.get('on', ())):,} keys",
    }
    tokens = [tokens_in_title(word, chosen[word], many[word]) for word in chosen]
    hides = hidden_keys_of(measured.reading, hidden)
    phrases = (what, words_of(measured.reading), random, *tokens, hides)
    return heading_of(world, measured.reading, picture_options, measured.places, *phrases)


def _chosen(measured: Measured) -> "dict[str, Sequence[Token]]":
    """The chosen queries and keys, each under its word."""
    focus, reading = measured.focus, measured.reading
    chosen: dict[str, Sequence[Token]] = {}
    if focus is not None and focus.rows is not None:
        chosen["rows"] = [reading.queries[row] for row in focus.rows]
    if focus is not None and focus.on is not None:
        chosen["on"] = [reading.keys[key] for key in focus.on]
    return chosen
