"""A text with all of its attention for a page: every kind that the model has, and the head to begin with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from attn_cli.analysis.head_filter import parse_head_filter
from attn_cli.answers.report import Report, ReportedEffects, ReportedKind, ReportText, ReportWord
from attn_cli.core.hiding import Hiding
from attn_cli.errors import AttnError
from attn_cli.models.tokens.token import Token
from attn_cli.reading.default_head import best_label
from attn_cli.reading.document import how_it_runs, weights_origin
from attn_cli.reading.known_patterns import find_known_patterns, measured_on
from attn_cli.reading.metrics import choose_metric
from attn_cli.reading.probe_store import read_probe
from attn_cli.reading.reading import Reading
from attn_cli.reading.report.effects import NextEffects
from attn_cli.reading.report.extent import PageExtent
from attn_cli.reading.report.layers import LayerProgress, ReportRun
from attn_cli.reading.report.whole_rows import NO_ROWS, RowChoice
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import ShownLayer
from attn_cli.reading.text_weights.pieces import pieces_of
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.reading.words.reading import word_side
from attn_cli.vocabulary import Kind, Pool

_OF_TARGET = {Kind.DECODER, Kind.CROSS}


def readings_of(reading: Reading, *, is_chosen: bool) -> list[Reading]:
    """The reading for each kind of attention that the text has; only its own if that `is_chosen`."""
    if is_chosen or not reading.texts.target:
        return [reading]
    return [replace(reading, kind=kind) for kind in reading.source.kinds]


def report_of(
    reading: Reading,
    *,
    is_chosen: bool,
    exact: Sequence[Place],
    hiding: Hiding | None,
    rows: Sequence[int] = (),
    bits: int,
    environment: Mapping[str, str],
    headline: Sequence[str],
    again: str,
    progress: LayerProgress,
) -> Report:
    """The report of a reading; layers run when it is written.

    `exact`: heads of the first kind whose steps are kept in full, if every weight is; `rows`: queries whose
    whole rows are, of these heads or else of all; `hiding`: the keys of the first kind that
    are hidden to begin with; `bits`: of each other weight.

    Raises:
        AttnError: the text is too long, or a layer does not fit into free memory.
    """
    readings = readings_of(reading, is_chosen=is_chosen)
    chosen = RowChoice(rows, exact or None)
    extent = PageExtent.of(readings, bits, exact, chosen)
    if hiding is not None and extent.most is not None:
        raise _refuse_hiding(reading)
    effects = NextEffects(reading)
    runs = list(_runs(readings, extent, exact, chosen, environment, effects, progress))
    for run in runs:
        run.check_memory()
    notes = [*reading.notes, *reading.source.remarks]
    return _report(reading, runs, headline, notes, effects.effects, again, hiding)


def report_of_layer(reading: Reading, shown: ShownLayer, head: int) -> Report:
    """The report of one layer that has run: all of its heads, beginning with `head`, without effects.

    Raises:
        AttnError: it does not fit into free memory.
    """
    begins_exact = PageExtent(None).begins_exact(reading)
    begin, layers = (shown.number, head), partial(iter, [shown])
    run = ReportRun(
        *(reading, None, None, (), begin, _unseen, begins_exact, {}), layers=layers, only=[shown.number]
    )
    run.check_memory()
    card = reading.source.card
    headline = [card.name, f"layer {shown.number} (0 to {card.layers - 1})", f"{len(reading.queries)} tokens"]
    return _report(reading, [run], headline, [], lambda: (None, ""), "", None)


def _unseen(_done: int, _total: int) -> None:
    """A run whose progress is not shown."""


def _report(
    reading: Reading,
    runs: Sequence[ReportRun],
    headline: Sequence[str],
    notes: Sequence[str],
    effects: Callable[[], tuple[ReportedEffects | None, str]],
    again: str,
    hiding: Hiding | None,
) -> Report:
    return Report(
        _how_it_ran(reading),
        partial(weights_origin, reading.source),
        headline,
        notes,
        list(_remarks(runs)),
        _texts(reading),
        [_kind(run) for run in runs],
        effects,
        again,
        hiding,
    )


def _how_it_ran(reading: Reading) -> dict[str, object]:
    """What the JSON object says of the model and of how it ran."""
    return {
        **how_it_runs(reading.source),
        "text": reading.request.text,
        "pair": reading.request.pair,
        "target": reading.request.target,
    }


def _refuse_hiding(reading: Reading) -> AttnError:
    problem = "--hide needs every weight, and the page of this text has only the largest of each block: "
    problem += f"{len(reading.queries):,} × {len(reading.keys):,} are too many"
    return AttnError(problem, "a shorter text, or leave out --hide")


def _remarks(runs: Sequence[ReportRun]) -> Iterator[str]:
    for run in runs:
        if run.cells != (1, 1):
            size = f"{len(run.reading.queries):,} × {len(run.reading.keys):,}"
            blocks = f"{run.cells[0]:,} × {run.cells[1]:,}"
            kind = "" if run.reading.kind is Kind.SELF else f" of {run.reading.kind} attention"
            yield f"the page has the largest weight of each block of {blocks}{kind}: {size} are too many"


def _runs(
    readings: Sequence[Reading],
    extent: PageExtent,
    exact: Sequence[Place],
    rows: RowChoice,
    environment: Mapping[str, str],
    effects: NextEffects,
    progress: LayerProgress,
) -> Iterator[ReportRun]:
    total = sum(len(reading.extent.layers) for reading in readings)
    before = 0
    for index, reading in enumerate(readings):
        known = find_known_patterns(reading.source, reading.kind, environment)
        label = best_label(reading, read_probe(reading.source, reading.kind, environment))
        begin = None if label is None else (label.layer, label.head)
        kept = () if index else exact
        exact_steps = kept if extent.most is None else ()
        watch = partial(_shifted, progress, before, total)
        begins_exact = not exact and extent.begins_exact(reading)
        first = kept[0] if kept else begin
        layers = effects.layers if effects.leads_through(reading.kind) else None
        of_kind = NO_ROWS if index else rows
        yield ReportRun(
            *(reading, extent.most, known, exact_steps, first, watch, begins_exact, {}),
            rows=of_kind,
            layers=layers,
        )
        before += len(reading.extent.layers)


def _shifted(progress: LayerProgress, before: int, total: int, done: int, _: int) -> None:
    """`progress` for one kind of several."""
    progress(before + done, total)


def _kind(run: ReportRun) -> ReportedKind:
    reading = run.reading
    return ReportedKind(
        kind=reading.kind,
        queries=int(reading.kind in _OF_TARGET),
        keys=int(reading.kind is Kind.DECODER),
        layers=list(run.numbers),
        heads=reading.extent.heads,
        cells=run.cells,
        pool=Pool.MAX,
        metric=choose_metric(reading, None, parse_head_filter((), None)),
        measured_on=partial(measured_on, run.known),
        known_head=run.begin,
        run=run.run,
        begins_exact=run.begins_exact,
        exact=run.exact_heads,
        rows=lambda: run.kept_rows,
    )


def _texts(reading: Reading) -> list[ReportText]:
    """The text, and the decoder's if it has one."""
    request = reading.request
    parts = (request.text,) if request.pair is None else (request.text, request.pair)
    texts = [_text(TextSide(reading.tokens, parts, "the text"))]
    if reading.texts.target:
        texts.append(_text(TextSide(reading.texts.target, (request.target or "",), "the decoder's text")))
    return texts


def _text(side: TextSide) -> ReportText:
    tokens = side.tokens
    return ReportText(
        side.name,
        labels=[token.name for token in tokens],
        ids=[token.id for token in tokens],
        special=_where(tokens, "special"),
        written=_where(tokens, "generated"),
        pieces=pieces_of(side),
        words=_words(side),
    )


def _words(side: TextSide) -> list[ReportWord] | None:
    """The words of several tokens; None if the tokenizer does not tell where tokens stand."""
    try:
        words = word_side(side)
    except AttnError:
        return None
    pairs = zip(words.words, words.members, strict=True)
    return [ReportWord(word.name, tokens) for word, tokens in pairs if len(tokens) > 1]


def _where(tokens: Sequence[Token], name: str) -> list[int]:
    return [place for place, token in enumerate(tokens) if getattr(token, name)]
