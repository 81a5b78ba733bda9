"""Turns a command's options into a reading: the text, the model and the chosen heads."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.commands.options import (
    BackendOptions,
    ComputeOptions,
    HeadOptions,
    ReadingOptions,
    SourceOptions,
    TextOptions,
    WindowOptions,
)
from attn_cli.commands.progress import download
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.selection import Place, Selection
from attn_cli.vocabulary import EMBEDDED, RANDOM, Kind, Step

if TYPE_CHECKING:
    from attn_cli.grid import Head
    from attn_cli.models.source import Source, SourceRequest
    from attn_cli.reading.reading import Reading, TextRequest
    from attn_cli.reading.window import Window

_HEADS = 4  # of random
_WIDTH = 64  # likewise
_MOST_HEADS = 1024


def open_reading(world: World, options: ReadingOptions, compute: ComputeOptions) -> "Reading":
    """The text as the model reads it, with the library that suits the heads that were asked for.

    Raises:
        AttnError: the text, the model or its weights cannot be read.
    """
    texts = text_request(world, options.text, options.kind)
    source = open_model(world, source_request(options.source, compute, options.chosen))
    reading = read_text(world, source, texts)
    source.check()
    return with_suited_backend(reading, selection(options.chosen))


def with_suited_backend(reading: "Reading", chosen: Selection | None = None) -> "Reading":
    """The reading with the library that is soonest done with the heads that were asked for, or with all."""
    layers = _layers_with_room(reading)
    reach = layers if chosen is None else chosen.reach(layers, reading.extent.heads)
    return reading.with_suited_backend(reach)


def text_request(world: World, options: TextOptions, kind: Kind | None = None) -> "TextRequest":
    """What is to be read, once it is seen to be text.

    Raises:
        UsageError: there is no text, or two, or one is blank.
        AttnError: one is not UTF-8.
    """
    text = _text(world, options.text, options.file)
    pair = None if options.pair is None else checked(options.pair, "the second text")
    target = None if options.target is None else checked(options.target, "the decoder's text")
    from attn_cli.reading.reading import TextRequest  # NumPy: 0.1 s

    return TextRequest(text, pair, target, kind)


def source_request(
    options: SourceOptions, compute: ComputeOptions | None = None, chosen: HeadOptions | None = None
) -> "SourceRequest":
    """Which model is meant, and how it computes.

    Raises:
        UsageError: an option is for another model than the one that is named.
    """
    from attn_cli.models.source import SourceRequest  # paid in `text_request`

    compute = compute or ComputeOptions(backend=BackendOptions())
    _check_random(options.model, compute)
    _check_revision(options)
    return SourceRequest(
        model=options.model or None,
        revision=options.revision,
        trusts_code=options.trust_remote_code,
        device=compute.backend.device,
        dtype=compute.backend.dtype,
        is_causal=compute.causal,
        seed=compute.seed or 0,
        width=compute.width or _WIDTH,
        heads=_head_count((chosen and chosen.heads) or (), options.model),
    )


def open_model(world: World, request: "SourceRequest", *, weights: bool = True) -> "Source":
    """The model, downloaded with a progress bar where it is not here; `weights`: with its weights.

    Raises:
        AttnError: it is missing or damaged.
    """
    from attn_cli.models.open import open_source  # paid in `text_request`

    with download(world, request.model or "") as watch:
        return open_source(request, world.environment, watch, weights=weights)


def read_text(world: World, source: "Source", texts: "TextRequest") -> "Reading":
    """The texts as the model reads them; remarks go to standard error.

    Raises:
        AttnError: the text has no tokens, or more than the model has positions.
    """
    from attn_cli.reading.reading import read  # paid in `text_request`

    reading = read(source, texts)
    for note in reading.notes:
        world.note(note)
    return reading


def selection(options: HeadOptions) -> Selection:
    """Which heads were asked for: the values of `--heads` that are no mere count."""
    named = tuple(value for value in options.heads or () if not value.isdecimal())
    return Selection(options.layer, options.head, named)


def selected_places(world: World, reading: "Reading", chosen: Selection) -> tuple[Place, ...]:
    """The heads that were asked for, of the model that was read; without a wish, all.

    A remark names the layers that were asked for and do not attend.

    Raises:
        UsageError: the selection is malformed, out of range, or names layers of which none attends.
    """
    card, extent = reading.source.card, reading.extent
    layers = _layers_with_room(reading)
    if reading.kind is Kind.SELF:
        layers = max(layers, card.layers)  # a hybrid may end with layers that do not attend
    places = chosen.resolve(card.name, layers, extent.heads)
    attending = tuple(place for place in places if place[0] in extent.layers)
    silent = sorted({layer for layer, _ in places} - set(extent.layers))
    if not attending:
        those = ", ".join(map(str, extent.layers))
        which = f"layer {silent[0]} of {card.name} {_without_matrix(extent.others, silent[0])}"
        raise UsageError(f"{which}; the layers to show are {those}", f"--layer {extent.layers[0]}")
    if chosen.names_layers:
        for layer in silent:
            world.note(f"layer {layer} is left out: it {_without_matrix(extent.others, layer)}")
    return attending


def _layers_with_room(reading: "Reading") -> int:
    """How many layers there are, up to the last that attends in some way."""
    return 1 + max((*reading.extent.layers, *reading.extent.others))


def _without_matrix(others: Mapping[int, str], layer: int) -> str:
    """What a layer without an attention matrix does instead."""
    return f"has no attention matrix: {others[layer]}" if layer in others else "has no attention"


def chosen_window(
    world: World, reading: "Reading", options: WindowOptions, steps: Collection[Step] | None, most: int
) -> "Window":
    """How much of each matrix is shown; a remark says so where it is a picture.

    Raises:
        UsageError: the choice is malformed or out of range; or all is too large, and no weights alone.
    """
    window = reading.window(options.rows, options.columns, steps, most)
    if window.is_pooled:
        size = f"{window.queries:,} × {window.keys:,} weights of a head"
        closer = f"--rows 0-{min(window.queries, 20) - 1} --columns 0-{min(window.keys, 64) - 1}"
        world.note(f"the {size} are pooled, a cell named by its first token; number by number: {closer}")
    return window


def selected_heads(
    world: World, reading: "Reading", chosen: Selection, steps: Collection[Step] | None, window: "Window"
) -> "list[Head]":
    """The heads that were asked for; without a wish the default head, and a remark that says why.

    Raises:
        UsageError: the selection is malformed or out of range.
    """
    from attn_cli.reading.default_head import choose_default_head, describe_choice
    from attn_cli.reading.steps import head_steps

    if not chosen.is_empty:
        return head_steps(reading, selected_places(world, reading, chosen), steps, window)
    default = choose_default_head(reading, steps, window)
    if default.out_of > 1:
        for sentence in describe_choice(reading, default):
            world.note(sentence)
        _name_other_heads(world, reading)
    return [default.head]


def _name_other_heads(world: World, reading: "Reading") -> None:
    """Remark on how the other heads are selected."""
    extent = reading.extent
    layers = "" if len(extent.layers) == 1 else f"-l {_as_selection(extent.layers)}, "
    heads = f"-H 0-{extent.heads - 1}, --heads LAYER.HEAD"
    world.note(f"others: {layers}{heads}; all: attn heads, attn heatmap")


def _as_selection(layers: Sequence[int]) -> str:
    """The layers as a selection: a range where they follow one another."""
    first, last = layers[0], layers[-1]
    return f"{first}-{last}" if last - first + 1 == len(layers) else ",".join(map(str, layers))


def check_steps(world: World, reading: "Reading", heads: "Sequence[Head]") -> None:
    """Remark on steps that the model lacks: a bias where it adds none, scores where nobody tells them.

    Raises:
        UsageError: it lacks all of them.
    """
    shown = {step for head in heads for step in head.steps}
    lacking = {step: why for head in heads for step, why in head.absent.items() if step not in shown}
    problems = [f"{reading.source.card.name} has no {step}: {why}" for step, why in lacking.items()]
    if not shown:
        instead = "scores, logits or weights" if set(lacking) == {Step.BIAS} else "logits or weights"
        raise UsageError(problems[0], f"--step {instead}")
    for problem in problems:
        world.note(problem)


def _check_random(model: str, compute: ComputeOptions) -> None:
    """Raise `UsageError` where a model that is there is asked to be of another shape."""
    for option, value in (("--seed", compute.seed), ("--width", compute.width)):
        if value is not None and model != RANDOM:
            problem = f"{option} is for random, and '{model or EMBEDDED}' is not made anew"
            raise UsageError(problem, f"-m {RANDOM} {option} {value}, or leave it out")


def _check_revision(options: SourceOptions) -> None:
    """Raise `UsageError` where a model that comes with the package is asked for another revision."""
    if options.revision is not None and options.model in {"", EMBEDDED, RANDOM}:
        problem = f"--revision is for a model of the hub, and '{options.model or EMBEDDED}' is built in"
        raise UsageError(problem, "leave it out, or name one: -m NAME")


def _head_count(heads: Sequence[str], model: str) -> int:
    """How many heads `random` is to have: the value of `--heads` that is a plain number.

    Raises:
        UsageError: there are several, or another model has its own.
    """
    counts = [value for value in heads if value.isdecimal()]
    if not counts:
        return _HEADS
    if model != RANDOM:
        raise UsageError(f"'{counts[0]}' is no head of a layer", "LAYER.HEAD, for example --heads 2.5")
    if len(counts) > 1 or not 0 < int(counts[0][:9]) <= _MOST_HEADS:
        raise UsageError(f"random cannot have {' and '.join(counts)} heads", "--heads 8")
    return int(counts[0])


def _text(world: World, text: str | None, file: Path | None) -> str:
    """The text that a person gave: as an argument, `-` for standard input, or in a file.

    Raises:
        UsageError: there is none, or two, or it is blank.
        AttnError: it is not UTF-8.
    """
    if text is not None and file is not None:
        raise UsageError(
            f"two texts were given: '{shortened(text)}' and --file {file}", "leave one of them out"
        )
    if text is None and file is None:
        raise UsageError("no text was given", '"The cat sat on the mat", or --file PATH, or - for a pipe')
    content = world.read(file) if text is None or text == "-" else text
    return checked(content, "the text")


def checked(text: str, name: str) -> str:
    """The text, if it holds something, and can be encoded.

    Raises:
        UsageError: it is empty or blank.
        AttnError: it is not Unicode.
    """
    if not text.strip():
        size = "empty" if not text else f"blank: {len(text)} white-space characters"
        raise UsageError(f"{name} is {size}", 'give one with words, for example "The cat sat on the mat"')
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        problem = f"{name} is not UTF-8: character {error.start} is {text[error.start]!a}"
        raise AttnError(problem, "convert it to UTF-8") from error
    return text


def shortened(text: str, most: int = 40) -> str:
    """The text, cut where it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"
