"""`attn heatmap`: one head, several side by side, or every head as a layer × head grid."""

from pathlib import Path
from typing import Annotated

import typer

from attn_cli.commands import options as given
from attn_cli.commands.answering import Style, write_pictures
from attn_cli.commands.asking import Options, places, reading_of, selection
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.vocabulary import DType, Step

_PICTURE = "The picture: .png, .svg or .pdf; may be repeated."


def heatmap(
    context: typer.Context,
    text: given.Text = None,
    out: Annotated[list[Path] | None, given.out(_PICTURE)] = None,
    file: given.File = None,
    pair: given.Pair = None,
    model: given.Model = "",
    layer: given.Layer = None,
    head: given.Head = None,
    heads: given.Heads = None,
    step: given.Steps = None,
    cmap: given.ColourMap = None,
    dpi: given.Dpi = 150,
    force: given.Force = False,
    device: given.Device = "auto",
    dtype: given.Format = DType.FLOAT32,
    causal: given.Causal = None,
    seed: given.Seed = 0,
    width: given.Width = 64,
    quiet: given.Quiet = False,
) -> None:
    """Draw heads as pictures: one, several, or all of a model.

    Several heads stand side by side; all heads of all layers, which is what is drawn without a
    selection, are a layer × head grid. All of them share one colour scale.
    """
    world: World = context.obj
    world.is_quiet = quiet
    if not out:
        raise UsageError("no file was named for the picture", "-o head.png")
    from attn_cli import pipeline  # NumPy: 0.1 s
    from attn_cli.show import files, picture

    targets = files.targets(out, picture.SUFFIXES, force=force)
    picture.check_colours(cmap)
    steps = tuple(dict.fromkeys(step or (Step.WEIGHTS,)))
    asked = Options(text, file, pair, model, device, dtype, causal, seed, width, heads or ())
    reading = reading_of(world, asked)
    found = pipeline.heads(reading, places(reading, selection(layer, head, heads or ())), steps)
    if missing := pipeline.absent(found, steps):
        problem = f"{reading.source.card.name} has no {missing[0]}: nothing is added per position"
        raise UsageError(problem, "--step scores, logits or weights")
    groups = [pipeline.table(reading, found, each) for each in steps]
    title = pipeline.title(reading, ", ".join(steps))
    write_pictures(world, targets, groups, title, Style(cmap, dpi), force=force)
