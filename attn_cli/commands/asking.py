"""From the options of a command to a reading: the text, the model, and which heads are meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.console import World, checked, text_of
from attn_cli.errors import UsageError
from attn_cli.selection import Place, Selection
from attn_cli.vocabulary import DType

if TYPE_CHECKING:
    from attn_cli.pipeline import Reading

_RANDOM = "random"
_DEFAULT_HEADS = 4


@dataclass(frozen=True, slots=True)
class Options:
    """What every command that reads a text takes."""

    text: str | None
    file: Path | None
    pair: str | None
    model: str
    device: str = "auto"
    dtype: DType = DType.FLOAT32
    is_causal: bool | None = None
    seed: int = 0
    width: int = 64
    heads: Sequence[str] = ()


def reading_of(world: World, options: Options) -> "Reading":
    """The text as the model reads it; remarks go to standard error.

    Raises:
        AttnError: the text or the model cannot be read.
    """
    text = text_of(world, options.text, options.file)
    pair = None if options.pair is None else checked(options.pair, "the second text")
    from attn_cli.pipeline import Question, read  # NumPy: 0.1 s

    model = options.model or _RANDOM
    if not options.model:
        world.note(
            "no --model: this is random, a fresh layer that has learned nothing (-m DIR for a real model)"
        )
    question = Question(
        text=text,
        pair=pair,
        model=model,
        device=options.device,
        dtype=options.dtype,
        is_causal=options.is_causal,
        seed=options.seed,
        width=options.width,
        heads=_head_count(options.heads, model),
    )
    reading = read(question, world.environment)
    for note in reading.notes:
        world.note(note)
    return reading


def selection(layer: str | None, head: str | None, heads: Sequence[str]) -> Selection:
    """Which heads were asked for: the values of `--heads` that are no mere count."""
    return Selection(layer, head, tuple(value for value in heads if not value.isdecimal()))


def places(reading: "Reading", chosen: Selection) -> tuple[Place, ...]:
    """The heads that were asked for, of the model that was read; without a wish, all.

    Raises:
        UsageError: the selection is malformed or out of range.
    """
    card = reading.source.card
    return chosen.resolve(card.name, card.layers, card.heads)


def places_or_telling(world: World, reading: "Reading", chosen: Selection) -> tuple[Place, ...]:
    """The heads that were asked for; without a wish the most telling one, and a remark that says why.

    Raises:
        UsageError: the selection is malformed or out of range.
    """
    if not chosen.is_empty:
        return places(reading, chosen)
    from attn_cli.pipeline import most_telling

    (layer, head), seen, stands_out = most_telling(reading)
    card = reading.source.card
    why = (
        f"of {seen} heads it looks most sharply at words further away"
        if stands_out
        else f"the first of {seen}, for the text is too short for one to stand out"
    )
    world.note(f"head {layer}.{head} is shown: {why}")
    layers = "" if card.layers == 1 else f"-l 0-{card.layers - 1}, "
    world.note(f"others: {layers}-H 0-{card.heads - 1}, --heads {layer}.{head}; all: attn heatmap")
    return ((layer, head),)


def _head_count(heads: Sequence[str], model: str) -> int:
    """How many heads `random` is to have: the value of `--heads` that is a plain number.

    Raises:
        UsageError: there are several, or another model has its own.
    """
    counts = [value for value in heads if value.isdecimal()]
    if not counts:
        return _DEFAULT_HEADS
    if model != _RANDOM:
        raise UsageError(f"'{counts[0]}' is no head of a layer", "LAYER.HEAD, for example --heads 2.5")
    if len(counts) > 1 or not 0 < int(counts[0][:9]) <= 1024:  # noqa: PLR2004
        raise UsageError(f"random cannot have {' and '.join(counts)} heads", "--heads 8")
    return int(counts[0])
