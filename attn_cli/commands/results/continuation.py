"""Turns options into how a text goes on, and lets the model go on with it."""

from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING

from attn_cli.commands.options import GenerationOptions, TextOptions
from attn_cli.commands.results.output import counted
from attn_cli.commands.results.progress import PATIENCE
from attn_cli.console import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_cli.models.source import NextToken
    from attn_cli.models.tokens.token import Token
    from attn_cli.reading.language_model.generation import Tell
    from attn_cli.reading.reading import Generation, Reading
    from attn_cli.vocabulary import Kind


def requested_generation(
    options: GenerationOptions, texts: TextOptions, seed: int | None
) -> "Generation | None":
    """How the text is to go on; None: it is read as it is.

    Raises:
        UsageError: an option has no use, or its value none.
    """
    drawn = options.temperature is not None or options.top_p is not None
    if options.generate is None and not drawn:
        return None
    from attn_cli.reading.language_model.request import Drawing, requested_continuation  # few texts go on

    drawing = Drawing(options.temperature, options.top_p, seed)
    return requested_continuation(options.generate, drawing, target=texts.target, pair=texts.pair)


def go_on(
    world: World,
    reading: "Reading",
    generation: "Generation",
    tell: "Tell | None" = None,
    watched: "tuple[Kind, int] | None" = None,
) -> "Reading":
    """The text with its continuation, and remarks on it; a bar on a terminal, if it takes long.

    Raises:
        AttnError: memory is short, or the model computes no numbers to choose by.
    """
    from attn_cli.reading.language_model.generation import continued

    with ExitStack() as stack:
        shown = tell or _progress(world, stack, generation.tokens)
        whole = continued(reading, generation, shown, watched)
    for remark in reading.source.generation_remarks:
        world.note(remark)
    new = whole.written
    of_all = f" of {generation.tokens:,}" if len(new) < generation.tokens else ""
    ended = f", and ended the text with '{new[-1].text}'" if of_all else ""
    world.note(f"the model wrote {counted(len(new), 'token')}{of_all}, {_places(new)}{ended}")
    return whole


def _places(tokens: "Sequence[Token]") -> str:
    """Their positions, as for --rows."""
    first, last = tokens[0].position, tokens[-1].position
    return f"{first}" if first == last else f"{first}-{last}"


def _progress(world: World, stack: ExitStack, most: int) -> "Tell":
    """Reports how many tokens are written."""
    began, bar, count = monotonic(), None, 0

    def tell(_after: "NextToken", _tokens: "Sequence[Token]", _added: str) -> None:
        nonlocal bar, count
        count += 1
        if bar is None and world.desk is not None and monotonic() - began >= PATIENCE:
            from attn_cli.show.terminal.progress import Bar  # rich: 0.06 s

            bar = stack.enter_context(Bar(world.desk))
        if bar is not None:
            bar.show(count / most, [f"{count:,} of {most:,} tokens written"])

    return tell
