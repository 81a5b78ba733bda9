"""From the options of a command to a reading: the text, the model, and which heads are meant."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.commands.reporting import download
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.selection import Place, Selection
from attn_cli.vocabulary import EMBEDDED, RANDOM, DType, Kind, Step

if TYPE_CHECKING:
    from attn_cli.grid import Head
    from attn_cli.reading.reading import Reading, Telling
    from attn_cli.reading.window import Portion

_HEADS = 4  # of random
_WIDTH = 64  # likewise
_MOST_HEADS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What every command that reads a text takes."""

    text: str | None
    file: Path | None
    pair: str | None
    model: str
    target: str | None = None
    kind: Kind | None = None
    revision: str | None = None
    trusts_code: bool = False
    device: str = "auto"
    dtype: DType = DType.FLOAT32
    is_causal: bool | None = None
    seed: int | None = None
    width: int | None = None
    heads: Sequence[str] = ()
    chosen: Selection | None = None  # which heads will be asked for; None: nobody knows yet


def tokens_of(world: World, options: Options, *, weights: bool = False) -> "Reading":
    """The text as the model cuts it; remarks go to standard error, and weights are not looked at.

    `weights`: whether they are downloaded with the rest, where the model is not here.

    Raises:
        AttnError: the text or the model cannot be read.
    """
    text = text_of(world, options.text, options.file)
    pair = None if options.pair is None else checked(options.pair, "the second text")
    target = None if options.target is None else checked(options.target, "the decoder's text")
    from attn_cli.reading.reading import Question, read  # NumPy: 0.1 s

    _check_random(options)
    _check_revision(options)
    question = Question(
        text=text,
        pair=pair,
        target=target,
        kind=options.kind,
        model=options.model or None,
        revision=options.revision,
        trusts_code=options.trusts_code,
        device=options.device,
        dtype=options.dtype,
        is_causal=options.is_causal,
        seed=options.seed or 0,
        width=options.width or _WIDTH,
        heads=_head_count(options.heads, options.model),
    )
    with download(world, options.model) as watch:
        reading = read(question, world.environment, watch, weights=weights)
    for note in reading.notes:
        world.note(note)
    return reading


def reading_of(world: World, options: Options) -> "Reading":
    """The text as the model reads it, once its weights are seen to be there.

    Raises:
        AttnError: the text, the model or its weights cannot be read.
    """
    reading = tokens_of(world, options, weights=True)
    reading.source.check()
    from attn_cli.reading.reading import suited

    extent = reading.extent
    layers = 1 + max((*extent.layers, *extent.others))
    chosen = options.chosen
    return suited(reading, layers if chosen is None else chosen.reach(layers, extent.heads))


def selection(layer: str | None, head: str | None, heads: Sequence[str]) -> Selection:
    """Which heads were asked for: the values of `--heads` that are no mere count."""
    return Selection(layer, head, tuple(value for value in heads if not value.isdecimal()))


def places(world: World, reading: "Reading", chosen: Selection) -> tuple[Place, ...]:
    """The heads that were asked for, of the model that was read; without a wish, all.

    A remark names the layers that were asked for and do not attend.

    Raises:
        UsageError: the selection is malformed, out of range, or names layers of which none attends.
    """
    card, extent = reading.source.card, reading.extent
    layers = 1 + max((*extent.layers, *extent.others))
    if reading.kind is Kind.SELF:
        layers = max(layers, card.layers)  # a hybrid may end with layers that do not attend
    found = chosen.resolve(card.name, layers, extent.heads)
    attending = tuple(place for place in found if place[0] in extent.layers)
    silent = sorted({layer for layer, _ in found} - set(extent.layers))
    if not attending:
        those = ", ".join(map(str, extent.layers))
        which = f"layer {silent[0]} of {card.name} {_how(extent.others, silent[0])}"
        problem = f"{which}; the layers to show are {those}"
        raise UsageError(problem, f"--layer {extent.layers[0]}")
    if chosen.names_layers:
        for layer in silent:
            world.note(f"layer {layer} is left out: it {_how(extent.others, layer)}")
    return attending


def _how(others: Mapping[int, str], layer: int) -> str:
    """What a layer does that has no matrix to show."""
    return f"has no matrix of tokens: {others[layer]}" if layer in others else "does not attend"


def portion(
    world: World,
    reading: "Reading",
    rows: str | None,
    columns: str | None,
    steps: Collection[Step] | None,
    most: int,
) -> "Portion":
    """How much of each matrix is shown; a remark says so where it is a picture.

    Raises:
        UsageError: the choice is malformed or out of range; or all is too large, and no weights alone.
    """
    from attn_cli.reading.reading import portion_of  # paid in `tokens_of`

    found = portion_of(reading, rows, columns, steps, most)
    if found.is_pooled:
        size = f"{found.queries:,} × {found.keys:,} weights of a head"
        closer = f"--rows 0-{min(found.queries, 20) - 1} --columns 0-{min(found.keys, 64) - 1}"
        world.note(f"the {size} are pooled, a cell named by its first token; number by number: {closer}")
    return found


def heads_or_telling(
    world: World, reading: "Reading", chosen: Selection, steps: Collection[Step] | None, shown: "Portion"
) -> "list[Head]":
    """The heads that were asked for; without a wish the most telling one, and a remark that says why.

    Raises:
        UsageError: the selection is malformed or out of range.
    """
    from attn_cli.reading.reading import heads, telling_head

    if not chosen.is_empty:
        return heads(reading, places(world, reading, chosen), steps, shown)
    telling = telling_head(reading, steps, shown)
    if telling.out_of == 1:
        return [telling.head]
    name, extent = telling.head.name, reading.extent
    world.note(f"head {name} is shown: {_why(telling)}")
    layers = "" if len(extent.layers) == 1 else f"-l {_numbered(extent.layers)}, "
    world.note(f"others: {layers}-H 0-{extent.heads - 1}, --heads LAYER.HEAD; all: attn heads, attn heatmap")
    return [telling.head]


def _numbered(layers: Sequence[int]) -> str:
    """The layers as a selection: a range where they follow one another."""
    first, last = layers[0], layers[-1]
    return f"{first}-{last}" if last - first + 1 == len(layers) else ",".join(map(str, layers))


def _why(telling: "Telling") -> str:
    """Why this head is shown."""
    if telling.known is not None:
        return f"of {telling.out_of} heads it is the clearest {telling.known.pattern} head"
    if telling.stands_out:
        return f"of {telling.out_of} heads it looks most sharply at words further away"
    return f"the first of {telling.out_of}, for the text is too short for one to stand out"


def check_steps(world: World, reading: "Reading", found: "Sequence[Head]") -> None:
    """Remark on steps that the model lacks: a bias where it adds none, scores where nobody tells them.

    Raises:
        UsageError: it lacks all of them.
    """
    shown = {step for head in found for step in head.steps}
    lacking = {step: why for head in found for step, why in head.absent.items() if step not in shown}
    problems = [f"{reading.source.card.name} has no {step}: {why}" for step, why in lacking.items()]
    if not shown:
        instead = "scores, logits or weights" if set(lacking) == {Step.BIAS} else "logits or weights"
        raise UsageError(problems[0], f"--step {instead}")
    for problem in problems:
        world.note(problem)


def _check_random(options: Options) -> None:
    """Raise `UsageError` where a model that is there is asked to be of another shape."""
    for option, value in (("--seed", options.seed), ("--width", options.width)):
        if value is not None and options.model != RANDOM:
            problem = f"{option} is for random, and '{options.model or EMBEDDED}' is not made anew"
            raise UsageError(problem, f"-m {RANDOM} {option} {value}, or leave it out")


def _check_revision(options: Options) -> None:
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


def text_of(world: World, text: str | None, file: Path | None) -> str:
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
        found = "empty" if not text else f"blank: {len(text)} white-space characters"
        raise UsageError(f"{name} is {found}", 'give one with words, for example "The cat sat on the mat"')
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        problem = f"{name} is not UTF-8: character {error.start} is {text[error.start]!a}"
        raise AttnError(problem, "convert it to UTF-8") from error
    return text


def shortened(text: str, most: int = 40) -> str:
    """The text, cut where it is long."""
    return text if len(text) <= most else text[: most - 1] + "…"
