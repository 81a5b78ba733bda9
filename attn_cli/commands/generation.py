"""Turns options into how a text goes on, and lets the model go on with it."""

import math
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from attn_cli.commands.options import GenerationOptions, TextOptions
from attn_cli.commands.results.output import counted
from attn_cli.commands.results.progress import PATIENCE
from attn_cli.console import World
from attn_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_cli.models.generation.sampling import Sampling
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
    drawing = {"--temperature": options.temperature, "--top-p": options.top_p}
    if options.generate is None:
        for option, value in drawing.items():
            if value is not None:
                raise UsageError(f"{option} applies only with --generate", f"--generate 20 {option} {value}")
        return None
    for option, text in {"--target": texts.target, "--pair": texts.pair}.items():
        if text is not None:
            problem = f"--generate and {option} exclude each other: "
            why = "the model writes the decoder's text" if option == "--target" else "a pair does not go on"
            raise UsageError(problem + why, f"leave out {option}, or --generate")
    from attn_cli.reading.reading import Generation  # NumPy: 0.1 s

    return Generation(options.generate, _sampling(options, seed))


def _sampling(options: GenerationOptions, seed: int | None) -> "Sampling | None":
    """How tokens are drawn; None: the likeliest is taken.

    Raises:
        UsageError: a number is out of range, or --seed has no use.
    """
    temperature, top_p = options.temperature, options.top_p
    if temperature is not None and not 0 < temperature < math.inf:
        problem = f"--temperature is {temperature:g}, which is not a number greater than 0"
        raise UsageError(problem, "--temperature 0.7, or leave it out for the likeliest token each time")
    if top_p is not None and not 0 < top_p <= 1:
        problem = f"--top-p is {top_p:g}, which is not greater than 0 and at most 1"
        raise UsageError(problem, "--top-p 0.9")
    if temperature is None and top_p is None:
        if seed is not None:
            problem = "--seed has no effect on --generate alone: the likeliest token is taken each time"
            raise UsageError(problem, f"--temperature 1 --seed {seed}, or leave out --seed")
        return None
    from attn_cli.models.generation.sampling import Sampling

    whole = {"temperature": temperature, "top_p": top_p, "seed": seed}
    return Sampling(**{name: value for name, value in whole.items() if value is not None})  # type: ignore[arg-type]


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

    layers = 1 + max((*reading.extent.layers, *reading.extent.others))
    fast = reading.with_suited_backend(layers)
    with ExitStack() as stack:
        shown = tell or _progress(world, stack, generation.tokens)
        whole = continued(fast, generation, shown, watched)
    for remark in reading.source.generation_remarks:
        world.note(remark)
    new = whole.written
    of_all = f" of {generation.tokens:,}" if len(new) < generation.tokens else ""
    ended = f", and ended the text with '{new[-1].text}'" if of_all else ""
    world.note(f"the model wrote {counted(len(new), 'token')}{of_all}, {_places(new)}{ended}")
    return replace(whole, source=reading.source)


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
