"""Turns a command's options into a reading: the text, the model and the chosen heads."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attn_cli.arguments.usage import listed
from attn_cli.commands.options import (
    BackendOptions,
    ComputeOptions,
    HidingOptions,
    ReadingOptions,
    SourceOptions,
    WindowOptions,
)
from attn_cli.commands.results.progress import download
from attn_cli.commands.texts import text_request
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.reading.selection import Place, Selection
from attn_cli.vocabulary import EMBEDDED, RANDOM, Kind, Pool, Step

if TYPE_CHECKING:
    from attn_cli.grid import Head
    from attn_cli.models.source import Source, SourceRequest
    from attn_cli.reading.default_head import DefaultHead
    from attn_cli.reading.hidden_keys import HiddenKeys
    from attn_cli.reading.reading import Generation, Reading, TextRequest
    from attn_cli.reading.window import Window

_MOST_HEADS = 1024  # as for --head-count


def open_reading(
    world: World, options: ReadingOptions, compute: ComputeOptions, *, are_words: bool = False
) -> "Reading":
    """The text as the model reads it, with the backend that suits the chosen heads; `are_words`: in words.

    Raises:
        AttnError: the text, the model or its weights cannot be read.
    """
    generation = generation_of(options, compute)
    texts = text_request(world, options.text, options.kind)
    compute = replace(compute, head_count=_head_count(world, options, compute))
    source = open_model(world, source_request(options.source, compute, is_drawn=generation is not None))
    suited = with_suited_backend(read_whole(world, source, texts, generation), selection(options))
    world.keep(suited)
    return in_words(world, suited) if are_words else suited


def read_whole(
    world: World, source: "Source", texts: "TextRequest", generation: "Generation | None"
) -> "Reading":
    """The text as the model reads it, after it went on with it if that is wanted; its weights are checked.

    Raises:
        AttnError: the text has no tokens, the model does not go on with it, or the weights do not belong to
            it.
    """
    if generation is not None:
        return read_continued(world, source, texts, generation)
    reading = read_text(world, source, texts)
    check_source(world, source)
    return reading


def generation_of(options: ReadingOptions, compute: ComputeOptions) -> "Generation | None":
    """How the text is to go on; None: it is read as it is.

    Raises:
        UsageError: an option has no use, or its value none.
    """
    if options.generation.is_empty:
        return None
    from attn_cli.commands.results.continuation import requested_generation  # few commands go on with a text

    return requested_generation(options.generation, options.text, compute.seed)


def in_words(world: World, reading: "Reading") -> "Reading":
    """The reading with words as queries and keys; a remark names those that share tokens.

    Raises:
        AttnError: the model does not tell where its tokens stand.
    """
    from attn_cli.commands.results.words import as_words  # few commands merge tokens

    return as_words(world, reading)


def read_continued(
    world: World, source: "Source", texts: "TextRequest", generation: "Generation"
) -> "Reading":
    """The text as the model reads it after it went on with it, with remarks on standard error.

    Raises:
        AttnError: the text has no tokens, or the model does not go on with it.
    """
    from attn_cli.commands.results.continuation import go_on

    return with_remarks(world, go_on(world, beginning(world, source, texts, generation), generation))


def beginning(
    world: World,
    source: "Source",
    texts: "TextRequest",
    generation: "Generation",
    *,
    is_watched: bool = False,
) -> "Reading":
    """The text that a model is to go on with; a decoder of its own has read its start token.

    Raises:
        AttnError: the text has no tokens, the model does not go on with texts or has too few positions, or
            the weights do not belong to it.
    """
    from attn_cli.reading.language_model.generation import read_beginning

    reading = read_beginning(source, texts, generation, is_watched=is_watched)
    check_source(world, source)
    return reading


def with_remarks(world: World, reading: "Reading") -> "Reading":
    """The reading, with remarks on standard error."""
    for note in reading.notes:
        world.note(note)
    return reading


def check_source(world: World, source: "Source") -> None:
    """Check that the weights belong to the model; what to know of them goes to standard error.

    Raises:
        AttnError: they do not.
    """
    source.check()
    for remark in source.remarks:
        world.note(remark)


def with_suited_backend(reading: "Reading", chosen: Selection | None = None) -> "Reading":
    """The reading with the backend that is fastest for the chosen heads, or for all heads."""
    layers = _layers_with_room(reading)
    reach = layers if chosen is None else chosen.reach(layers, reading.extent.heads)
    return reading.with_suited_backend(reach)


def source_request(
    options: SourceOptions, compute: ComputeOptions | None = None, *, is_drawn: bool = False
) -> "SourceRequest":
    """The requested model, and how to run it; `is_drawn`: --seed is of the tokens that are drawn.

    Raises:
        UsageError: an option does not apply to this model.
    """
    from attn_cli.models.source import SourceRequest  # already imported by `text_request`

    compute = compute or ComputeOptions(backend=BackendOptions())
    if is_drawn:
        compute = replace(compute, seed=None)
    _check_random(options.model, compute)
    _check_revision(options)
    _check_tokenizer(options)
    shape: dict[str, Any] = {"seed": compute.seed, "width": compute.features, "heads": compute.head_count}
    return SourceRequest(
        model=options.model or None,
        revision=options.revision,
        trusts_code=options.trust_remote_code,
        tokenizer=options.tokenizer,
        has_template=not options.no_special,
        device=compute.backend.device,
        dtype=compute.backend.dtype,
        is_causal=compute.causal,
        adapter=not options.no_adapter,
        **{name: value for name, value in shape.items() if value is not None},
    )


def open_model(world: World, request: "SourceRequest", *, weights: bool = True) -> "Source":
    """The model, downloaded with a progress bar if it is not cached; `weights`: whether to load them.

    Raises:
        AttnError: it is missing or damaged.
    """
    from attn_cli.models.open import open_source  # mostly imported by `text_request`

    with download(world, request.model or "") as watch:
        return open_source(request, world.environment, watch, weights=weights)


def read_text(world: World, source: "Source", texts: "TextRequest", *, runs: bool = True) -> "Reading":
    """The texts as the model reads them, with remarks on standard error; `runs`: whether its layers will run.

    Raises:
        AttnError: the text has no tokens, or more than the model has positions or runs on.
    """
    from attn_cli.reading.reading import read  # already imported by `text_request`

    reading = read(source, texts, runs=runs)
    for note in reading.notes:
        world.note(note)
    return reading


def selection(options: ReadingOptions) -> Selection:
    """The heads that were requested."""
    chosen, counts = options.chosen, _counts(options)
    named = tuple(value for value in chosen.heads or () if value not in counts)
    return Selection(chosen.layer, chosen.head, named)


def selected_places(
    world: World, reading: "Reading", chosen: Selection, window: "Window | None" = None
) -> tuple[Place, ...]:
    """The chosen heads of the model, or all heads if none were chosen.

    Remarks name the chosen layers that have no attention, and say how long the layers take if that is long.
    `window`: how much is shown of each head; None: all.

    Raises:
        UsageError: the selection is malformed, out of range, or names only layers without attention.
    """
    card, extent = reading.source.card, reading.extent
    layers = _layers_with_room(reading)
    if reading.kind is Kind.SELF:
        layers = max(layers, card.layers)  # a hybrid model may end with layers without attention
    places = chosen.resolve(card.name, layers, extent.heads)
    attending = tuple(place for place in places if place[0] in extent.layers)
    silent = sorted({layer for layer, _ in places} - set(extent.layers))
    if not attending:
        those = ", ".join(map(str, extent.layers))
        which = f"layer {silent[0]} of {card.name} {_without_matrix(extent.others, silent[0])}"
        raise UsageError(f"{which}; layers with attention weights: {those}", f"--layer {extent.layers[0]}")
    if chosen.names_layers:
        for layer in silent:
            world.note(f"layer {layer} is skipped: it {_without_matrix(extent.others, layer)}")
    from attn_cli.reading.long_texts.duration import layers_of

    say_duration(world, reading, layers_of(attending, extent.heads, window))
    return attending


def say_duration(world: World, reading: "Reading", layers: float) -> None:
    """Say at once how long this many layers will take, if it is long."""
    from attn_cli.reading.long_texts.duration import remarks_on_duration

    for remark in remarks_on_duration(reading, layers):
        world.fact(remark)


def _layers_with_room(reading: "Reading") -> int:
    """The number of layers, up to the last one with any attention."""
    return 1 + max((*reading.extent.layers, *reading.extent.others))


def _without_matrix(others: Mapping[int, str], layer: int) -> str:
    """Why a layer has no weights to show."""
    return f"has no token-by-token weights: {others[layer]}" if layer in others else "has no attention"


def chosen_window(
    world: World,
    reading: "Reading",
    options: WindowOptions,
    steps: Collection[Step] | None,
    most: int,
    pool: Pool = Pool.MEAN,
    top: int | None = None,
) -> "Window":
    """How much of each matrix is shown; a remark says so if blocks of it are pooled, as `pool` by default.

    `top`: of a long text, the largest keys of each row instead, unless blocks are asked for.

    Raises:
        UsageError: the choice is malformed or out of range, or steps other than weights are too large.
    """
    if top is not None and options.pool is None and _lists_keys(reading, steps):
        window = _listed_window(world, reading, options, top)
    else:
        window = reading.window(options.rows, options.columns, steps, most)
        window = replace(window, pool=options.pool or pool)
    hiding = hidden_keys(reading, options.hiding)
    note_selections(world, reading, rows=options.rows, columns=options.columns, hide=options.hiding.hide)
    if hiding is not None:
        from attn_cli.reading.hidden_keys import hide_keys  # few commands hide keys
        from attn_cli.reading.steps import DEFAULT_STEPS

        window = hide_keys(window, hiding, steps or DEFAULT_STEPS)
    if options.pool is not None and not window.is_pooled:
        world.note(f"--pool {options.pool} has no effect: nothing is averaged or merged over blocks")
    if window.is_pooled:
        size = f"{window.queries:,} × {window.keys:,}"
        closer = f"--rows 0-{min(window.queries, 20) - 1} --columns 0-{min(window.keys, 64) - 1}"
        how = "averaged over blocks" if window.pool is Pool.MEAN else "shown as the largest of each block"
        what = listed(list(dict.fromkeys(steps or (Step.WEIGHTS,))))
        world.note(f"{size} {what} are {how}, each labelled by its first token; in full: {closer}")
    return window


def _lists_keys(reading: "Reading", steps: Collection[Step] | None) -> bool:
    """Whether the text is long and a step has rows of keys."""
    return not reading.whole.fits and (steps is None or any(step.is_pairwise for step in steps))


def _listed_window(world: World, reading: "Reading", options: WindowOptions, top: int) -> "Window":
    """The largest keys of the chosen rows; if none are chosen, in a terminal of a few that are evenly spaced.

    Raises:
        UsageError: the choice is malformed or out of range.
    """
    from attn_cli.reading.window import FEW_ROWS

    few = FEW_ROWS if world.stdout.isatty() else None
    window = reading.listed(options.rows, options.columns, top, few)
    if options.rows is None and len(window.rows) < window.queries:
        middle = window.queries // 2
        listed = f"{len(window.rows)} of {window.queries:,} rows are listed, evenly spaced"
        others = f"others: --rows {middle}-{middle + 19}, --rows WORD"
        world.note(f"{listed}; {others}; all: --rows all, or a pipe")
    return window


def note_selections(
    world: World,
    reading: "Reading",
    *,
    rows: str | None = None,
    columns: str | None = None,
    on: str | None = None,
    hide: Sequence[str] | None = None,
) -> None:
    """Remark on words and tokens of which a part is selected, and the whole taken."""
    typed = [
        ("--rows", rows),
        ("--columns", columns),
        ("--on", on),
        *(("--hide", each) for each in hide or ()),
    ]
    if all(selection is None for _, selection in typed):
        return
    from attn_cli.commands.results.words import SelectedTokens, remarks_on_selection

    for option, selection in typed:
        if selection is not None:
            selected = SelectedTokens(option, selection, are_keys=option != "--rows")
            for remark in remarks_on_selection(reading, selected):
                world.note(remark)


def hidden_keys(reading: "Reading", options: HidingOptions) -> "HiddenKeys | None":
    """The keys that are out of sight; None: all are shown.

    Raises:
        UsageError: the choice is malformed or out of range, or leaves nothing to see.
    """
    if not options.hide and not options.renormalize:
        return None
    from attn_cli.reading.hidden_keys import choose_hidden_keys, refuse_dividing  # few commands hide keys

    if not options.hide:
        raise refuse_dividing()
    return choose_hidden_keys(reading, options.hide, is_renormalized=options.renormalize)


def selected_heads(
    world: World, reading: "Reading", chosen: Selection, steps: Collection[Step] | None, window: "Window"
) -> "list[Head]":
    """The chosen heads; if none were chosen, the default head and a remark that says why.

    Raises:
        UsageError: the selection is malformed or out of range.
    """
    if not chosen.is_empty:
        from attn_cli.reading.steps import head_steps  # NumPy: 0.1 s

        return head_steps(reading, selected_places(world, reading, chosen, window), steps, window)
    default = default_head(world, reading, steps, window)
    if default.out_of > 1:
        _note_choice(world, reading, default, steps)
    return [default.head]


def default_head(
    world: World, reading: "Reading", steps: Collection[Step] | None = None, window: "Window | None" = None
) -> "DefaultHead":
    """The head that is shown if none is chosen; if the choice takes long, that is said at once."""
    from attn_cli.reading.default_head import choose_default_head, last_layer_to_run
    from attn_cli.reading.long_texts.duration import layers_of, takes_long
    from attn_cli.reading.probe_store import read_probe

    probe = read_probe(reading.source, reading.kind, world.environment)
    if takes_long(reading, 1 + max(reading.extent.layers)):
        last = last_layer_to_run(reading, probe)
        say_duration(world, reading, layers_of([(last, 0)], reading.extent.heads, window))
    return choose_default_head(reading, steps, window, probe)


def _note_choice(
    world: World, reading: "Reading", default: "DefaultHead", steps: Collection[Step] | None
) -> None:
    """Remark on why the head, or its layer, is shown, and how to select others."""
    from attn_cli.reading.default_head import describe_choice, describe_layer_choice

    if steps and all(step.is_of_layer for step in steps):
        if default.layers > 1:
            world.note(describe_layer_choice(reading, default))
            world.note(f"other layers: -l {_as_selection(reading.extent.layers)}")
        return
    for sentence in describe_choice(reading, default):
        world.note(sentence)
    _name_other_heads(world, reading)


def _name_other_heads(world: World, reading: "Reading") -> None:
    """Remark on how to select other heads."""
    extent = reading.extent
    layers = "" if len(extent.layers) == 1 else f"-l {_as_selection(extent.layers)}, "
    heads = f"-H 0-{extent.heads - 1}, --heads LAYER.HEAD"
    world.note(f"other heads: {layers}{heads}; all heads: attn heads, attn heatmap")


def _as_selection(layers: Sequence[int]) -> str:
    """The layers as a selection: a range if they are consecutive."""
    first, last = layers[0], layers[-1]
    return f"{first}-{last}" if last - first + 1 == len(layers) else ",".join(map(str, layers))


def check_steps(world: World, reading: "Reading", heads: "Sequence[Head]") -> None:
    """Remark on steps that are not available, such as a bias or scores that transformers does not expose.

    Raises:
        UsageError: none of them is available.
    """
    shown = {step for head in heads for step in head.steps}
    lacking = {step: why for head in heads for step, why in head.absent.items() if step not in shown}
    where = "" if reading.kind is Kind.SELF else f" in {reading.kind} attention"
    problems = [f"{reading.source.card.name} has no {step}{where}: {why}" for step, why in lacking.items()]
    if not shown:
        instead = "scores, logits or weights" if set(lacking) == {Step.BIAS} else "logits or weights"
        raise UsageError(problems[0], f"--step {instead}")
    for problem in problems:
        world.note(problem)


def _check_random(model: str, compute: ComputeOptions) -> None:
    """Raise `UsageError` if an option of `random` is used with another model."""
    shape = {"--seed": compute.seed, "--width": compute.features, "--head-count": compute.head_count}
    for option, value in shape.items():
        if value is not None and model != RANDOM:
            problem = f"{option} applies only to -m {RANDOM}: the model is '{model or EMBEDDED}'"
            raise UsageError(problem, f"-m {RANDOM} {option} {value}, or leave out {option}")


def _check_revision(options: SourceOptions) -> None:
    """Raise `UsageError` if `--revision` is used with a built-in model."""
    if options.revision is not None and options.model in {"", EMBEDDED, RANDOM}:
        problem = f"--revision applies only to models from the hub: '{options.model or EMBEDDED}' is built in"
        raise UsageError(problem, "leave out --revision, or name a model: -m NAME")


def _check_tokenizer(options: SourceOptions) -> None:
    """Raise `UsageError` if `--tokenizer` is used with the random layer, whose tokens are words."""
    if options.tokenizer is not None and options.model == RANDOM:
        problem = f"--tokenizer does not apply to -m {RANDOM}: its tokens are the words of the text"
        raise UsageError(problem, "leave out --tokenizer")


def _head_count(world: World, options: ReadingOptions, compute: ComputeOptions) -> int | None:
    """The number of heads of `random`: from --head-count, or a plain number after --heads, as it once was.

    Raises:
        UsageError: several numbers were given, or it is out of range.
    """
    counts = _counts(options)
    if not counts:
        return compute.head_count
    if compute.head_count is not None:
        counts = (*counts, str(compute.head_count))
    count = int(counts[0][:9])
    if len(counts) > 1 or not 0 < count <= _MOST_HEADS:
        raise UsageError(
            f"random cannot have {' and '.join(counts)} heads", f"--head-count {compute.head_count or 8}"
        )
    world.note(f"--heads selects heads; the number of heads of random is --head-count {count}")
    return count


def _counts(options: ReadingOptions) -> tuple[str, ...]:
    """The values of --heads that are plain numbers: with `random` they once gave the number of heads."""
    if options.source.model != RANDOM:
        return ()
    return tuple(value for value in options.chosen.heads or () if value.isdecimal())
